/**
 * The keys that tokens are checked with: a JSON Web Key Set from a file or an https address, read
 * anew now and then, and at once for a `kid` that it does not have, though not for each of a flood.
 * What cannot be read leaves the keys as they are.
 */
import { readFile } from 'node:fs/promises';
import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose';
import type { Clock } from '../../base/clock.ts';
import { messageOf, TrunklineError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import type { CounterFamily } from '../../base/metrics.ts';
import { fetchText } from './fetch-text.ts';

const bytesMax = 1024 * 1024;
const fetchMs = 5_000;

/** Between two readings for the sake of a `kid` that is not known. */
const cooldownMs = 2_000;

type GetKey = ReturnType<typeof createLocalJWKSet>;

export interface JsonWebKeysParts {
  readonly log: Logger;
  readonly clock: Clock;
  readonly loads: CounterFamily;
}

export class JsonWebKeys {
  readonly #parts: JsonWebKeysParts;
  readonly #source: string;
  #getKey: GetKey | null = null;
  #loading: Promise<boolean> | null = null;
  #loadedAt = Number.NEGATIVE_INFINITY;
  #stop: () => void = () => {};

  constructor(parts: JsonWebKeysParts, source: string) {
    this.#parts = parts;
    this.#source = source;
  }

  /** Throws `config-invalid` for a file that cannot be read; an address may come later. */
  async open(refreshMs: number): Promise<void> {
    const isLoaded = await this.#load();
    if (!isLoaded && !isAddress(this.#source)) {
      throw new TrunklineError(
        'config-invalid',
        `The key set jwt.keys = "${this.#source}" cannot be read. It must be a JSON Web Key Set of public keys; check the path.`,
      );
    }
    this.#stop = this.#parts.clock.every(refreshMs, () => void this.#load());
  }

  close(): void {
    this.#stop();
  }

  /** The key for a token. Rejects with jose's errors, or with `TypeError` while there are no keys. */
  readonly keyFor: JWTVerifyGetKey = async (header, token) => {
    if (this.#getKey === null && !(await this.#loadSoon())) throw new NoKeys();
    try {
      return await (this.#getKey as GetKey)(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error;
      if (!(await this.#loadSoon())) throw error;
      return (this.#getKey as GetKey)(header, token);
    }
  };

  /** False when it was read a moment ago, or cannot be. */
  #loadSoon(): Promise<boolean> {
    if (this.#loading !== null) return this.#loading;
    const isTooSoon = this.#parts.clock.elapsed() - this.#loadedAt < cooldownMs;
    return isTooSoon ? Promise.resolve(false) : this.#load();
  }

  #load(): Promise<boolean> {
    this.#loading ??= this.#read().finally(() => {
      this.#loading = null;
    });
    return this.#loading;
  }

  async #read(): Promise<boolean> {
    const { log, loads, clock } = this.#parts;
    this.#loadedAt = clock.elapsed();
    try {
      const text = await this.#text();
      const set = JSON.parse(text) as JSONWebKeySet;
      refuseSecrets(set);
      this.#getKey = createLocalJWKSet(set);
      loads.by('ok').add();
      return true;
    } catch (error) {
      loads.by('failed').add();
      const reason = messageOf(error);
      log.error({ source: this.#source, reason }, 'key set cannot be read, the keys stay');
      return false;
    }
  }

  async #text(): Promise<string> {
    if (isAddress(this.#source)) {
      const { status, text } = await fetchText(this.#source, { ms: fetchMs, bytesMax });
      if (status !== 200) throw new Error(`the answer has status ${status}`);
      return text;
    }
    return readFile(this.#source, 'utf8');
  }
}

/** No key could be read yet. */
export class NoKeys extends Error {}

function isAddress(source: string): boolean {
  return /^https?:/.test(source);
}

/** A shared or private key has no place here: whoever reads the set could sign with it. */
function refuseSecrets(set: JSONWebKeySet): void {
  for (const key of set.keys ?? []) {
    if (key.kty === 'oct' || 'd' in key) throw new Error('it holds a key that is not public');
  }
}

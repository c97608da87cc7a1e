/**
 * The certificate, private key and authorities of one door or one client, read from PEM files and read
 * again when they change or the process gets SIGHUP. What cannot be used is told and left alone: the
 * one before stays in use. Connections that are open go on with what they began with.
 */
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createSecureContext, rootCertificates } from 'node:tls';
import type { Clock } from '../clock.ts';
import { messageOf, TrunklineError } from '../errors.ts';
import type { Logger } from '../log.ts';
import type { Counter, Metrics } from '../metrics.ts';

/** How soon a change of the files is noticed. */
const lookMs = 5_000;

/** In the place of a file: the authorities that come with Node.js. */
export const systemAuthorities = 'system';

/** Paths; empty for none. */
export interface TlsFiles {
  /** The certificate, with those between it and its authority behind it. */
  readonly cert: string;
  readonly key: string;
  /** Authorities that the peer's certificate is checked by. */
  readonly ca: string;
  /** Certificates that those have taken back. */
  readonly crl?: string;
}

/** PEM. */
export interface TlsMaterial {
  readonly cert: Buffer | null;
  readonly key: Buffer | null;
  readonly ca: Buffer | null;
  readonly crl: Buffer | null;
}

export interface TlsIdentityParts {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly clock: Clock;
}

export interface TlsIdentityOptions extends TlsFiles {
  /** Where the settings are, for errors and metrics: `trunk`. */
  readonly section: string;
  /** What they are called there: `trunk.tls_cert`. */
  readonly prefix: string;
}

/** As those who use it see it. */
export type TlsSource = Pick<TlsIdentity, 'material' | 'onChanged'>;

export class TlsIdentity {
  readonly #parts: TlsIdentityParts;
  readonly #options: TlsIdentityOptions;
  readonly #listeners = new Set<() => void>();
  readonly #reloads: Counter;
  readonly #failures: Counter;
  readonly #stopLooking: () => void;
  #material: TlsMaterial;
  /** The last that could not be used, so that it is told once. */
  #refused = '';
  #looking: Promise<void> | null = null;
  #isClosed = false;

  private constructor(parts: TlsIdentityParts, options: TlsIdentityOptions, found: TlsMaterial) {
    this.#parts = parts;
    this.#options = options;
    this.#material = found;
    const { clock, metrics } = parts;
    const labels = { section: options.section };
    this.#reloads = metrics.counter(
      'trunkline_tls_reloads_total',
      'Changed certificates that were taken into use.',
      labels,
    );
    this.#failures = metrics.counter(
      'trunkline_tls_reload_failures_total',
      'Changed certificates that could not be used: the one before stays.',
      labels,
    );
    metrics.gauge(
      'trunkline_tls_certificate_seconds',
      'How long the certificate in use is valid still; negative when it has ended.',
      () => (endOf(this.#material) - clock.now()) / 1_000,
      labels,
    );
    this.#stopLooking = clock.every(lookMs, () => this.lookSoon());
    if (open.size === 0) process.on('SIGHUP', lookAtAll);
    open.add(this);
  }

  /** Throws `tls-unreadable`. */
  static async open(parts: TlsIdentityParts, options: TlsIdentityOptions): Promise<TlsIdentity> {
    try {
      const found = await read(options);
      check(found, parts.clock.now());
      return new TlsIdentity(parts, options, found);
    } catch (error) {
      throw new TrunklineError('tls-unreadable', `${refusalText(options, error)}.`, {
        cause: error,
      });
    }
  }

  get material(): TlsMaterial {
    return this.#material;
  }

  /** Calls until the returned function is called. */
  onChanged(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Reads the files again. Never rejects. */
  look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = null;
    });
    return this.#looking;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#stopLooking();
    open.delete(this);
    if (open.size === 0) process.off('SIGHUP', lookAtAll);
    await this.#looking;
  }

  lookSoon(): void {
    this.look().catch((error: unknown) => {
      this.#parts.log.error({ err: error }, 'certificates cannot be looked at');
    });
  }

  async #look(): Promise<void> {
    const { clock, log } = this.#parts;
    const { section } = this.#options;
    try {
      const found = await read(this.#options);
      if (isSame(found, this.#material)) {
        this.#refused = '';
        return;
      }
      check(found, clock.now());
      if (this.#isClosed) return;
      this.#material = found;
      this.#refused = '';
      this.#reloads.add();
      log.info({ section, until: new Date(endOf(found)).toISOString() }, 'certificate changed');
      for (const listener of [...this.#listeners]) listener();
    } catch (error) {
      const reason = refusalText(this.#options, error);
      if (reason === this.#refused) return;
      this.#refused = reason;
      this.#failures.add();
      log.error({ section, reason }, 'changed certificate cannot be used: the one before stays');
    }
  }
}

/** Of the process. */
const open = new Set<TlsIdentity>();

function lookAtAll(): void {
  for (const identity of open) identity.lookSoon();
}

async function read({ ca, cert, crl = '', key }: TlsFiles): Promise<TlsMaterial> {
  const contents = async (path: string) => (path === '' ? null : readFile(path));
  const authorities =
    ca === systemAuthorities ? Buffer.from(rootCertificates.join('\n')) : await contents(ca);
  const own = { cert: await contents(cert), key: await contents(key) };
  return { ...own, ca: authorities, crl: await contents(crl) };
}

/** Throws what is wrong. */
function check(material: TlsMaterial, now: number): void {
  const { ca, cert, crl, key } = material;
  if ((cert === null) !== (key === null)) {
    throw new Error('a certificate and its private key go together, and one of them is not set');
  }
  const own = { ...(cert && { cert }), ...(key && { key }) };
  createSecureContext({ ...own, ...(ca && { ca }), ...(crl && { crl }) });
  // What has no certificate in it would be no authority at all, and be found out by nobody.
  if (ca !== null) new X509Certificate(ca);
  if (endOf(material) <= now) {
    throw new Error(`the certificate has ended on ${new Date(endOf(material)).toISOString()}`);
  }
}

/** Milliseconds since the epoch; infinite without a certificate. */
function endOf({ cert }: TlsMaterial): number {
  return cert === null ? Number.POSITIVE_INFINITY : Date.parse(new X509Certificate(cert).validTo);
}

function isSame(one: TlsMaterial, other: TlsMaterial): boolean {
  return (['cert', 'key', 'ca', 'crl'] as const).every((part) => {
    const [mine, theirs] = [one[part], other[part]];
    return mine === null || theirs === null ? mine === theirs : mine.equals(theirs);
  });
}

function refusalText(
  { ca, cert, crl = '', key, prefix }: TlsIdentityOptions,
  error: unknown,
): string {
  const paths = Object.entries({ cert, key, ca, crl })
    .filter(([, path]) => path !== '')
    .map(([name, path]) => `${prefix}${name} = "${path}"`);
  return `The TLS files ${paths.join(', ')} cannot be used: ${messageOf(error)}`;
}

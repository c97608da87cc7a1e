/**
 * Asks an HTTP service who a client is. An answer holds for a while for the same credentials; a
 * service that fails again and again is not asked for a while, so that it may recover and clients
 * are not kept waiting for it. docs/authentication.md has the form of question and answer.
 */
import { createHmac, randomBytes } from 'node:crypto';
import type { Clock } from '../../base/clock.ts';
import type { Config } from '../../base/config.ts';
import { plainIdentity } from '../../base/identity.ts';
import type { Logger } from '../../base/log.ts';
import type { CounterFamily, Metrics } from '../../base/metrics.ts';
import {
  type Authenticator,
  accepted,
  type Credentials,
  refused,
  unknown,
  type Verdict,
} from './authenticator.ts';
import { fetchText } from './fetch-text.ts';
import { type HttpAnswer, readAnswer } from './http-answer.ts';

const answerBytesMax = 64 * 1024;

/** A refusal is not kept for longer: whoever mends it should not have to wait. */
const refusalMs = 5_000;

interface Kept {
  readonly verdict: Verdict;
  readonly until: number;
}

export interface HttpHookParts {
  readonly log: Logger;
  readonly clock: Clock;
  readonly metrics: Metrics;
}

export class HttpHook implements Authenticator {
  readonly method = 'http';
  readonly #parts: HttpHookParts;
  readonly #settings: Config['auth_http'];
  readonly #outcomes: CounterFamily;
  /** Of this process alone: what is kept of credentials tells nothing without it. */
  readonly #secret = randomBytes(32);
  readonly #kept = new Map<string, Kept>();
  readonly #asked = new Map<string, Promise<Verdict>>();
  #failures = 0;
  #openUntil = 0;

  constructor(parts: HttpHookParts, settings: Config['auth_http']) {
    this.#parts = parts;
    this.#settings = settings;
    const { metrics } = parts;
    this.#outcomes = metrics.counters(
      'trunkline_auth_http_total',
      'Questions to the HTTP service of authentication, by outcome.',
      'outcome',
    );
    metrics.gauge(
      'trunkline_auth_http_breaker_open',
      '1 while the HTTP service of authentication is not asked because it failed.',
      () => (this.#isOpen() ? 1 : 0),
    );
  }

  authenticate(credentials: Credentials): Verdict | Promise<Verdict> {
    const key = this.#keyOf(credentials);
    const kept = this.#kept.get(key);
    if (kept !== undefined && kept.until > this.#parts.clock.elapsed()) {
      this.#outcomes.by('cached').add();
      return kept.verdict;
    }
    const asked = this.#asked.get(key);
    if (asked !== undefined) return asked;
    if (this.#isOpen()) return this.#unavailable('breaker-open');
    if (this.#asked.size >= this.#settings.requests) return this.#unavailable('too-many');
    const asking = this.#ask(credentials, key).finally(() => this.#asked.delete(key));
    this.#asked.set(key, asking);
    return asking;
  }

  async #ask(credentials: Credentials, key: string): Promise<Verdict> {
    const { url, timeout_ms: ms, token } = this.#settings;
    let verdict: Verdict;
    try {
      const json = questionOf(credentials);
      const { status, text: body } = await fetchText(url, {
        ...{ ms, token, json, bytesMax: answerBytesMax },
      });
      if (status !== 200) return this.#failed(`status ${status}`);
      const answer = readAnswer(body);
      if (answer === null) return this.#failed('the answer is not of the form');
      verdict = verdictOf(answer, credentials);
    } catch (error) {
      // Not the error itself: what was asked stands in some.
      return this.#failed(error instanceof Error ? error.name : 'unknown');
    }
    this.#failures = 0;
    this.#outcomes.by('answered').add();
    this.#keep(key, verdict);
    return verdict;
  }

  #failed(reason: string): Verdict {
    const { clock, log } = this.#parts;
    const { breaker_failures, breaker_seconds } = this.#settings;
    this.#failures++;
    log.warn({ reason, failures: this.#failures }, 'authentication service failed');
    // After the pause one failure is enough for the next, until there is an answer.
    if (this.#failures >= breaker_failures) {
      this.#openUntil = clock.elapsed() + breaker_seconds * 1_000;
    }
    return this.#unavailable('failed');
  }

  #unavailable(outcome: string): Verdict {
    this.#outcomes.by(outcome).add();
    return refused('authentication-unavailable');
  }

  #isOpen(): boolean {
    return this.#openUntil > this.#parts.clock.elapsed();
  }

  #keep(key: string, verdict: Verdict): void {
    const { cache_seconds, cache_entries } = this.#settings;
    if (cache_seconds === 0) return;
    const whole = cache_seconds * 1_000;
    const ms = verdict.kind === 'accepted' ? whole : Math.min(whole, refusalMs);
    this.#kept.delete(key);
    this.#kept.set(key, { verdict, until: this.#parts.clock.elapsed() + ms });
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= cache_entries) break;
      this.#kept.delete(oldest);
    }
  }

  #keyOf({ clientId, username, password, certificate }: Credentials): string {
    const hmac = createHmac('sha256', this.#secret);
    const parts = [clientId, username, password?.toString('base64'), certificate?.sha256];
    return hmac.update(JSON.stringify(parts)).digest('base64');
  }
}

function questionOf(credentials: Credentials): string {
  const { clientId, username, password, certificate, remoteAddress, listener } = credentials;
  return JSON.stringify({
    client_id: clientId,
    username,
    password_base64: password?.toString('base64') ?? null,
    certificate_common_name: certificate?.commonName ?? null,
    certificate_sha256: certificate?.sha256 ?? null,
    remote_address: remoteAddress,
    listener,
  });
}

function verdictOf(answer: HttpAnswer, credentials: Credentials): Verdict {
  if (answer.result === 'ignore') return unknown;
  if (answer.result === 'deny') return refused('credentials');
  const { tenant, roles, labels, expiresAt } = answer;
  const name = answer.name || credentials.username || credentials.clientId;
  return accepted(plainIdentity({ name, tenant, roles, labels, expiresAt, method: 'http' }));
}

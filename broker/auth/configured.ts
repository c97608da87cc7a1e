/**
 * Authentication as the configuration has it: the chain in its order, SCRAM, the throttle before both
 * of them, and what is asked of every identity whatever proved it.
 */
import type { Clock } from '../../base/clock.ts';
import type { Config } from '../../base/config.ts';
import type { Logger } from '../../base/log.ts';
import type { Metrics } from '../../base/metrics.ts';
import { hasAuthentication } from '../../base/settings/auth.ts';
import type { EnhancedAuthenticate } from '../authenticate.ts';
import { anonymous } from './anonymous.ts';
import { AttemptThrottle, networkOf } from './attempt-throttle.ts';
import { type Authenticator, type Credentials, refused, type Verdict } from './authenticator.ts';
import { Certificates } from './certificates.ts';
import { AuthenticatorChain } from './chain.ts';
import { HttpHook } from './http-hook.ts';
import { JsonWebKeys } from './json-web-keys.ts';
import { JsonWebTokens } from './json-web-tokens.ts';
import { PasswordUsers } from './password-users.ts';
import { ScramUsers, scramMethod } from './scram.ts';

export interface AuthenticationParts {
  readonly log: Logger;
  readonly clock: Clock;
  readonly metrics: Metrics;
}

export interface GivenMethods {
  readonly authenticators: readonly Authenticator[];
  readonly enhanced: EnhancedAuthenticate;
}

export class Authentication implements Authenticator {
  readonly method = 'chain';
  readonly enhanced: EnhancedAuthenticate;
  readonly #config: Config;
  readonly #clock: Clock;
  readonly #throttle: AttemptThrottle;
  readonly #chain: Authenticator;
  readonly #keys: JsonWebKeys | null;

  constructor(parts: AuthenticationParts, config: Config, given: GivenMethods) {
    const { auth, jwt } = config;
    this.#config = config;
    this.#clock = parts.clock;
    this.#throttle = new AttemptThrottle(parts, {
      failuresOfName: auth.attempts,
      failuresOfAddress: auth.attempts_per_address,
      waitMsMax: auth.attempts_wait_seconds_max * 1_000,
    });
    const loads = parts.metrics.counters(
      'trunkline_auth_jwt_key_loads_total',
      'Times that the key set for tokens was read, by outcome.',
      'outcome',
    );
    this.#keys = jwt.keys === '' ? null : new JsonWebKeys({ ...parts, loads }, jwt.keys);
    this.#chain = this.#chainOf(parts, given.authenticators);
    const scram = new ScramUsers(auth.scram_users, this.#throttle);
    const hasScram = auth.scram_users.length > 0;
    this.enhanced = {
      begin: (method, client) =>
        hasScram && method === scramMethod
          ? scram.begin(client)
          : given.enhanced.begin(method, client),
    };
  }

  /** Throws `config-invalid` when the keys for tokens cannot be read. */
  async open(): Promise<void> {
    await this.#keys?.open(this.#config.jwt.refresh_seconds * 1_000);
  }

  close(): void {
    this.#keys?.close();
  }

  authenticate(credentials: Credentials): Verdict | Promise<Verdict> {
    const { clientId, username, remoteAddress } = credentials;
    const attempt = { address: networkOf(remoteAddress), name: username || clientId };
    if (this.#throttle.isBlocked(attempt)) return refused('credentials-throttled');
    const verdict = this.#chain.authenticate(credentials);
    const note = (one: Verdict) => {
      if (one.kind === 'accepted') this.#throttle.succeeded(attempt);
      else if (one.kind === 'refused' && isGuess(one)) this.#throttle.failed(attempt);
      return one;
    };
    return verdict instanceof Promise ? verdict.then(note) : note(verdict);
  }

  /** What holds for a client whatever its proof is: it is not over, and the identifier is its own. */
  settle(verdict: Verdict, clientId: string): Verdict {
    if (verdict.kind !== 'accepted') return verdict;
    const { name, expiresAt } = verdict.identity;
    if (expiresAt > 0 && expiresAt <= this.#clock.now()) return refused('credentials-expired');
    const isOwn = clientId === name;
    switch (this.#config.auth.client_id) {
      case 'any':
        return verdict;
      case 'equal':
        return isOwn ? verdict : refused('client-id-foreign');
      case 'prefix':
        return isOwn || isBelow(clientId, name) ? verdict : refused('client-id-foreign');
    }
  }

  #chainOf(parts: AuthenticationParts, given: readonly Authenticator[]): Authenticator {
    const { auth, jwt, auth_http } = this.#config;
    const found = [...given];
    if (auth.certificate !== '') found.push(new Certificates(auth.certificate));
    if (auth.users.length > 0) found.push(new PasswordUsers(auth.users));
    if (this.#keys !== null) {
      const refusals = parts.metrics.counters(
        'trunkline_auth_jwt_refused_total',
        'Tokens that were refused, by reason.',
        'reason',
      );
      found.push(new JsonWebTokens(this.#keys, jwt, refusals));
    }
    if (auth_http.url !== '') found.push(new HttpHook(parts, auth_http));
    const order: readonly string[] = auth.order;
    const placeOf = ({ method }: Authenticator) =>
      order.includes(method) ? order.indexOf(method) : order.length;
    found.sort((one, other) => placeOf(one) - placeOf(other));
    // The doors were checked at start: without any, only loopback or `auth.anonymous` gets here.
    const isOpen = given.length === 0 && !hasAuthentication(this.#config);
    return new AuthenticatorChain(parts.log, isOpen ? [anonymous] : found);
  }
}

/** Not what was right once, nor what nobody could look at. */
function isGuess({ reason }: { readonly reason: string }): boolean {
  return reason === 'credentials';
}

/** A dash or a dot would not do: names have them, so that one could be the beginning of another. */
function isBelow(clientId: string, name: string): boolean {
  return clientId.startsWith(`${name}/`) || clientId.startsWith(`${name}:`);
}

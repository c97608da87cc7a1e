/**
 * Authenticators in order: the first that knows the client decides. Whom nobody knows is refused.
 * Without a promise from any of them, the answer is none either.
 */
import { messageOf } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import { type Authenticator, type Credentials, refused, type Verdict } from './authenticator.ts';

export class AuthenticatorChain implements Authenticator {
  readonly method = 'chain';
  readonly #log: Logger;
  readonly #authenticators: readonly Authenticator[];

  constructor(log: Logger, authenticators: readonly Authenticator[]) {
    this.#log = log;
    this.#authenticators = authenticators;
  }

  authenticate(credentials: Credentials): Verdict | Promise<Verdict> {
    return this.#ask(credentials, 0);
  }

  #ask(credentials: Credentials, first: number): Verdict | Promise<Verdict> {
    for (let index = first; index < this.#authenticators.length; index++) {
      const authenticator = this.#authenticators[index] as Authenticator;
      const verdict = this.#one(authenticator, credentials);
      if (verdict instanceof Promise) return this.#wait(verdict, credentials, index);
      if (verdict.kind !== 'unknown') return verdict;
    }
    return refused('credentials');
  }

  async #wait(asked: Promise<Verdict>, credentials: Credentials, index: number): Promise<Verdict> {
    let verdict: Verdict;
    try {
      verdict = await asked;
    } catch (error) {
      verdict = this.#failed(index, error);
    }
    return verdict.kind === 'unknown' ? this.#ask(credentials, index + 1) : verdict;
  }

  #one(authenticator: Authenticator, credentials: Credentials): Verdict | Promise<Verdict> {
    try {
      return authenticator.authenticate(credentials);
    } catch (error) {
      return this.#failed(this.#authenticators.indexOf(authenticator), error);
    }
  }

  /** One that fails lets nobody in, nor past it. */
  #failed(index: number, error: unknown): Verdict {
    const method = this.#authenticators[index]?.method;
    // The message alone: an error may hold what was being checked.
    this.#log.error({ method, reason: messageOf(error) }, 'authenticator failed');
    return refused('authentication-unavailable');
  }
}

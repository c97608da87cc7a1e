/**
 * SCRAM-SHA-256 as a method of enhanced authentication: the password never crosses the wire, and the
 * client learns that the server knows it, too. A name that is not known goes the same way to the
 * same refusal, so that names cannot be found out.
 * Source: RFC 5802, RFC 7677; MQTT 5 section 4.12.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { type Identity, plainIdentity } from '../../base/identity.ts';
import type { AuthenticationExchange, AuthenticationStep } from '../authenticate.ts';
import { type AttemptThrottle, networkOf } from './attempt-throttle.ts';
import { hash, hmac, readVerifier, type ScramVerifier } from './scram-verifier.ts';

export const scramMethod = 'SCRAM-SHA-256';

const nonceBytes = 18;
const fakeSaltBytes = 16;
/** Of names that are not known: what `trunkline scram` makes. */
const fakeIterations = 4_096;
const messageBytesMax = 1_024;

const refusedStep: AuthenticationStep = { kind: 'refused' };

/** Client's first message: header, name, nonce. No channel binding, no extension. */
const firstForm = /^([ny],(?:a=([^,]+))?,)(n=([^,]+),r=([!-+\--~]+)(?:,.*)?)$/s;
const finalForm = /^(c=([A-Za-z0-9+/=]+),r=([!-+\--~]+)),p=([A-Za-z0-9+/=]+)$/s;

interface Began {
  readonly name: string;
  readonly header: string;
  readonly nonce: string;
  /** Both first messages, as the proof covers them. */
  readonly bare: string;
  readonly verifier: ScramVerifier;
  readonly isKnown: boolean;
}

export class ScramUsers {
  readonly #verifiers = new Map<string, ScramVerifier>();
  /** Makes the salt of names that are not known, the same for each whenever it is asked for. */
  readonly #secret = randomBytes(32);

  readonly #throttle: AttemptThrottle;

  constructor(
    users: readonly { readonly username: string; readonly verifier: string }[],
    throttle: AttemptThrottle,
  ) {
    this.#throttle = throttle;
    for (const { username, verifier } of users) {
      this.#verifiers.set(username.normalize('NFKC'), readVerifier(verifier));
    }
  }

  begin({ remoteAddress }: { readonly remoteAddress: string }): AuthenticationExchange {
    const address = networkOf(remoteAddress);
    return new ScramExchange({
      lookUp: (name) => this.#verifierOf(name),
      isBlocked: (name) => this.#throttle.isBlocked({ address, name }),
      note: (name, isRight) => {
        if (isRight) this.#throttle.succeeded({ address, name });
        else this.#throttle.failed({ address, name });
      },
    });
  }

  #verifierOf(name: string): { verifier: ScramVerifier; isKnown: boolean } {
    const verifier = this.#verifiers.get(name);
    if (verifier !== undefined) return { verifier, isKnown: true };
    const salt = hmac(this.#secret, name).subarray(0, fakeSaltBytes);
    const [storedKey, serverKey] = [randomBytes(32), randomBytes(32)];
    return {
      verifier: { iterations: fakeIterations, salt, storedKey, serverKey },
      isKnown: false,
    };
  }
}

interface ScramDesk {
  lookUp(name: string): { verifier: ScramVerifier; isKnown: boolean };
  /** Too many proofs were wrong. */
  isBlocked(name: string): boolean;
  note(name: string, isRight: boolean): void;
}

class ScramExchange implements AuthenticationExchange {
  readonly #desk: ScramDesk;
  #began: Began | null = null;
  #isOver = false;

  constructor(desk: ScramDesk) {
    this.#desk = desk;
  }

  async step(data: Buffer | null): Promise<AuthenticationStep> {
    if (this.#isOver || (data !== null && data.length > messageBytesMax)) return refusedStep;
    // A client may leave its first message to the AUTH behind an empty challenge.
    if (data === null && this.#began === null) return { kind: 'challenge', data: null };
    const message = data?.toString() ?? '';
    return this.#began === null ? this.#first(message) : this.#final(message, this.#began);
  }

  #first(message: string): AuthenticationStep {
    const [, header = '', authzid, bare = '', saidName, clientNonce] =
      firstForm.exec(message) ?? [];
    const name = saslName(saidName);
    // What it may act as is its own name alone.
    const isOwn = authzid === undefined || saslName(authzid) === name;
    if (name === null || clientNonce === undefined || !isOwn) return this.#refuse();
    if (this.#desk.isBlocked(name)) {
      this.#isOver = true;
      return { kind: 'refused', reason: 'credentials-throttled' };
    }
    const { verifier, isKnown } = this.#desk.lookUp(name);
    const nonce = clientNonce + randomBytes(nonceBytes).toString('base64');
    const salt = verifier.salt.toString('base64');
    const answer = `r=${nonce},s=${salt},i=${verifier.iterations}`;
    this.#began = { name, header, nonce, bare: `${bare},${answer}`, verifier, isKnown };
    return { kind: 'challenge', data: Buffer.from(answer) };
  }

  #final(message: string, began: Began): AuthenticationStep {
    this.#isOver = true;
    const [, withoutProof = '', binding = '', nonce, proofText = ''] =
      finalForm.exec(message) ?? [];
    const isBound = Buffer.from(binding, 'base64').toString() === began.header;
    if (nonce !== began.nonce || !isBound) return refusedStep;
    const covered = `${began.bare},${withoutProof}`;
    const { storedKey, serverKey } = began.verifier;
    const signature = hmac(storedKey, covered);
    const proof = Buffer.from(proofText, 'base64');
    if (proof.length !== signature.length) return refusedStep;
    const clientKey = Buffer.from(signature.map((byte, at) => byte ^ (proof[at] as number)));
    const isRight = timingSafeEqual(hash(clientKey), storedKey);
    const isProven = isRight && began.isKnown;
    this.#desk.note(began.name, isProven);
    if (!isProven) return refusedStep;
    const data = Buffer.from(`v=${hmac(serverKey, covered).toString('base64')}`);
    return { kind: 'accepted', data, identity: identityOf(began.name) };
  }

  #refuse(): AuthenticationStep {
    this.#isOver = true;
    return refusedStep;
  }
}

function identityOf(name: string): Identity {
  return plainIdentity({ name, method: 'scram-sha-256' });
}

/** Commas and equal signs are written as escapes; null when it is not so. */
function saslName(text: string | undefined): string | null {
  if (text === undefined || /=(?!2C|3D)/.test(text)) return null;
  return text.replaceAll('=2C', ',').replaceAll('=3D', '=').normalize('NFKC');
}

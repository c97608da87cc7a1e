/**
 * A JSON Web Token as the password. It must be signed by a key of the set with an algorithm of the
 * list, be for this audience from this issuer, and end some time: the session ends with it.
 * Source: RFC 7519, RFC 7517.
 */
import { errors, type JWTPayload, jwtVerify } from 'jose';
import type { Config } from '../../base/config.ts';
import { plainIdentity } from '../../base/identity.ts';
import type { CounterFamily } from '../../base/metrics.ts';
import {
  type Authenticator,
  accepted,
  type Credentials,
  type RefusalReason,
  refused,
  unknown,
  type Verdict,
} from './authenticator.ts';
import { type JsonWebKeys, NoKeys } from './json-web-keys.ts';

/** Three parts of base64url, the first a JSON object: nobody has that by chance as a password. */
const tokenForm = /^eyJ[\w-]+\.[\w-]+\.[\w-]+$/;

/** Clocks of devices' issuers may differ by so much. */
const toleranceSeconds = 5;

/** Names, tenants and roles longer than these are no names. */
const nameLengthMax = 256;
const rolesMax = 64;

export class JsonWebTokens implements Authenticator {
  readonly method = 'jwt';
  readonly #keys: JsonWebKeys;
  readonly #settings: Config['jwt'];
  readonly #refusals: CounterFamily;

  constructor(keys: JsonWebKeys, settings: Config['jwt'], refusals: CounterFamily) {
    this.#keys = keys;
    this.#settings = settings;
    this.#refusals = refusals;
  }

  authenticate({ password }: Credentials): Verdict | Promise<Verdict> {
    const text = password?.toString('latin1') ?? '';
    return tokenForm.test(text) ? this.#judge(text) : unknown;
  }

  async #judge(token: string): Promise<Verdict> {
    const { issuer, audience, algorithms } = this.#settings;
    try {
      const { payload } = await jwtVerify(token, this.#keys.keyFor, {
        ...{ issuer, audience, algorithms, clockTolerance: toleranceSeconds },
        requiredClaims: ['exp', this.#settings.name_claim],
      });
      return this.#identityIn(payload);
    } catch (error) {
      const reason = reasonOf(error);
      this.#refusals.by(reason.word).add();
      return refused(reason.refusal);
    }
  }

  #identityIn(payload: JWTPayload): Verdict {
    const { name_claim, tenant_claim, roles_claim } = this.#settings;
    const name = nameIn(payload[name_claim]);
    const tenant = tenant_claim === '' ? '' : nameIn(payload[tenant_claim]);
    const roles = roles_claim === '' ? [] : rolesIn(payload[roles_claim]);
    if (name === null || tenant === null || roles === null) {
      this.#refusals.by('claim').add();
      return refused('credentials');
    }
    const expiresAt = (payload.exp ?? 0) * 1_000;
    return accepted(plainIdentity({ name, tenant, roles, method: this.method, expiresAt }));
  }
}

function nameIn(claim: unknown): string | null {
  return typeof claim === 'string' && claim !== '' && claim.length <= nameLengthMax ? claim : null;
}

function rolesIn(claim: unknown): readonly string[] | null {
  if (claim === undefined) return [];
  if (!Array.isArray(claim) || claim.length > rolesMax) return null;
  return claim.every((role) => nameIn(role) !== null) ? (claim as string[]) : null;
}

/** Words of the metric, and what the client is told. */
function reasonOf(error: unknown): { word: string; refusal: RefusalReason } {
  if (error instanceof NoKeys) return { word: 'no-keys', refusal: 'authentication-unavailable' };
  if (error instanceof errors.JWTExpired)
    return { word: 'expired', refusal: 'credentials-expired' };
  if (error instanceof errors.JWTClaimValidationFailed) {
    return { word: 'claim', refusal: 'credentials' };
  }
  if (error instanceof errors.JOSEAlgNotAllowed) {
    return { word: 'algorithm', refusal: 'credentials' };
  }
  const isUnknown = error instanceof errors.JWKSNoMatchingKey;
  return { word: isUnknown ? 'key' : 'signature', refusal: 'credentials' };
}

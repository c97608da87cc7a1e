/**
 * Identity from a client certificate that TLS has verified: one of its names has the form of the
 * configuration. Two names that fit would be two identities, so then it is none.
 */
import { plainIdentity } from '../../base/identity.ts';
import {
  type Authenticator,
  accepted,
  type CertificateFacts,
  type Credentials,
  refused,
  unknown,
  type Verdict,
} from './authenticator.ts';

interface Named {
  readonly name: string;
  readonly tenant: string;
}

export class Certificates implements Authenticator {
  readonly method = 'certificate';
  readonly #kind: string;
  readonly #form: RegExp;

  /** Such as `CN:{name}` or `URI:urn:{tenant}:{name}`. */
  constructor(form: string) {
    const colon = form.indexOf(':');
    this.#kind = form.slice(0, colon);
    this.#form = formOf(form.slice(colon + 1));
  }

  authenticate({ certificate }: Credentials): Verdict {
    if (certificate === null) return unknown;
    const found = this.#namedIn(certificate);
    // It is of the right authority, but not a device's: what else the client brings may do.
    if (found.length === 0) return unknown;
    const [{ name, tenant } = { name: '', tenant: '' }] = found;
    if (found.length > 1) return refused('credentials');
    const { method } = this;
    return accepted(plainIdentity({ name, tenant, method, expiresAt: certificate.notAfter }));
  }

  #namedIn({ commonName, alternativeNames }: CertificateFacts): Named[] {
    const kind = `${this.#kind}:`;
    const names =
      this.#kind === 'CN'
        ? [commonName]
        : alternativeNames
            .filter((one) => one.startsWith(kind))
            .map((one) => one.slice(kind.length));
    return names.flatMap((one) => {
      const groups = this.#form.exec(one)?.groups;
      const name = groups?.['name'];
      return name === undefined ? [] : [{ name, tenant: groups?.['tenant'] ?? '' }];
    });
  }
}

/** A tenant is one level of whatever the name is made of. */
function formOf(text: string): RegExp {
  const literal = text.replaceAll(/[.*+?^$()|[\]\\/]/g, '\\$&');
  const named = literal
    .replace('{name}', '(?<name>[^/\\s]+)')
    .replace('{tenant}', '(?<tenant>[^/.:\\s]+)');
  return new RegExp(`^${named}$`, 'u');
}

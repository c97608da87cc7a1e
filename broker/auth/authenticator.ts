/** One way to find out who a client is, and what it may answer. */
import type { Identity } from '../../base/identity.ts';

/** What TLS has verified of the client's certificate. */
export interface CertificateFacts {
  /** Common name of the subject; empty for none. */
  readonly commonName: string;
  /** Subject alternative names as `kind:value`, such as `DNS:pump-7` or `URI:urn:dev:7`. */
  readonly alternativeNames: readonly string[];
  /** Of the whole certificate, 64 hexadecimal digits in lower case. */
  readonly sha256: string;
  /** Hexadecimal digits in upper case, as revocation lists have it. */
  readonly serialNumber: string;
  /** Milliseconds since the epoch. */
  readonly notAfter: number;
}

/** What a client brings with CONNECT. */
export interface Credentials {
  readonly clientId: string;
  /** Empty for none. */
  readonly username: string;
  /** Null for none. */
  readonly password: Buffer | null;
  /** Of the connection, verified against the listener's authorities; null for none. */
  readonly certificate: CertificateFacts | null;
  /** `address:port`. */
  readonly remoteAddress: string;
  readonly listener: string;
}

/** Words of logs and metrics. */
export type RefusalReason =
  /** They are wrong. */
  | 'credentials'
  /** They were right once. */
  | 'credentials-expired'
  /** They are right, but not for this client identifier. */
  | 'client-id-foreign'
  /** Who they name is not let in at present. */
  | 'identity-disabled'
  /** Too many wrong ones came from there. */
  | 'credentials-throttled'
  /** Nobody can tell now: the client is to come again. */
  | 'authentication-unavailable';

export type Verdict =
  | { readonly kind: 'accepted'; readonly identity: Identity }
  /** The last word: nobody else is asked. */
  | { readonly kind: 'refused'; readonly reason: RefusalReason }
  /** Not for this one to say: the next is asked. */
  | { readonly kind: 'unknown' };

export interface Authenticator {
  /** As in `Identity.method`. */
  readonly method: string;
  /** A promise only where it has to wait. One that rejects refuses with
   * `authentication-unavailable`. */
  authenticate(credentials: Credentials): Verdict | Promise<Verdict>;
}

export const unknown: Verdict = { kind: 'unknown' };

export function accepted(identity: Identity): Verdict {
  return { kind: 'accepted', identity };
}

export function refused(reason: RefusalReason): Verdict {
  return { kind: 'refused', reason };
}

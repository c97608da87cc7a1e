/**
 * Whom a verified certificate is of: the names in its URIs `trunkline://KIND/NAME`, or, when it has no
 * such URI, its common name. Source: RFC 5280 sections 4.1.2.6 and 4.2.1.6.
 */
import type { PeerCertificate } from 'node:tls';
import { TrunklineError } from '../errors.ts';

type Kind = 'edge' | 'gateway';

/** Throws `not-authorized` when the certificate is of somebody else, or there is none. */
export function requirePeerName(
  certificate: PeerCertificate | undefined,
  kind: Kind,
  name: string,
): void {
  const names = namesOf(certificate, kind);
  if (names.includes(name)) return;
  const whose = names.map((one) => JSON.stringify(one.slice(0, 64))).join(', ') || 'nobody';
  throw new TrunklineError(
    'not-authorized',
    `The certificate is of ${whose}, not of ${kind} ${JSON.stringify(name.slice(0, 64))}: give it one with the URI trunkline://${kind}/${name}, or that common name.`,
  );
}

export function isPeerOf(kind: Kind, certificate: PeerCertificate | undefined): boolean {
  return namesOf(certificate, kind).length > 0;
}

function namesOf(certificate: PeerCertificate | undefined, kind: Kind): string[] {
  if (certificate === undefined) return [];
  // Node.js quotes names with commas in them, which no name of ours has.
  const uris = (certificate.subjectaltname ?? '')
    .split(', ')
    .filter((part) => part.startsWith('URI:trunkline://'))
    .map((part) => part.slice('URI:trunkline://'.length));
  if (uris.length > 0) {
    const prefix = `${kind}/`;
    return uris.filter((uri) => uri.startsWith(prefix)).map((uri) => uri.slice(prefix.length));
  }
  const common: unknown = certificate.subject?.CN;
  return typeof common === 'string' ? [common] : [];
}

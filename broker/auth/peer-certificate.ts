/** What TLS has verified of a client's certificate, in the few words that identities are made of. */
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { CertificateFacts } from './authenticator.ts';

/** Names past these are left out: a device has a few, and what has more is an attempt. */
const namesMax = 16;
const nameLengthMax = 256;

/** One name: its kind, then a value that is plain or a JSON string. */
const nameForm = /([A-Za-z ]+:(?:("(?:[^"\\]|\\.)*")|[^",]*))(?:, |$)/y;

/** Null without TLS, without a certificate, or with one that no authority of the listener signed. */
export function peerCertificate(socket: Socket): CertificateFacts | null {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return null;
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return null;
  return {
    commonName: commonNameIn(certificate.toLegacyObject().subject.CN),
    alternativeNames: namesIn(certificate.subjectAltName ?? ''),
    sha256: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
    serialNumber: certificate.serialNumber,
    notAfter: Date.parse(certificate.validTo),
  };
}

/** The only one: of several, none says who the client is. */
function commonNameIn(name: string | readonly string[] | undefined): string {
  return typeof name === 'string' && name.length <= nameLengthMax ? name : '';
}

/** Values with a comma or worse are quoted, lest one name passes for two: those are left out. */
export function namesIn(text: string): string[] {
  const names: string[] = [];
  let at = 0;
  while (at < text.length && names.length < namesMax) {
    nameForm.lastIndex = at;
    const found = nameForm.exec(text);
    if (found === null) return [];
    const [whole, name = '', quoted] = found;
    if (quoted === undefined && name.length <= nameLengthMax) names.push(name);
    at += whole.length;
  }
  return names;
}

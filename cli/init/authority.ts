/**
 * An authority of a fleet's own, and the certificates that it gives out: ECDSA on P-256, signed with
 * SHA-256. Source: RFC 5280.
 */
import 'reflect-metadata';
import { KeyObject, webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const dayMs = 24 * 60 * 60 * 1_000;
const authorityDays = 3_650;
const certificateDays = 825;
/** The clocks of a fleet are not all right. */
const slackMs = 60 * 60 * 1_000;

/** PEM. */
export interface Issued {
  readonly cert: string;
  readonly key: string;
}

export interface IssueRequest {
  readonly commonName: string;
  /** Host names and addresses that it is for. */
  readonly hosts: readonly string[];
  /** Such as `trunkline://edge/edge-1`. */
  readonly uris: readonly string[];
}

export class Authority {
  readonly pem: Issued;
  readonly #certificate: X509Certificate;
  readonly #key: webcrypto.CryptoKey;

  private constructor(certificate: X509Certificate, key: webcrypto.CryptoKey) {
    this.#certificate = certificate;
    this.#key = key;
    this.pem = { cert: `${certificate.toString('pem')}\n`, key: pemOf(key) };
  }

  static async create(commonName: string): Promise<Authority> {
    const keys = await newKeys();
    const certificate = await X509CertificateGenerator.createSelfSigned({
      name: [{ CN: [commonName] }],
      keys,
      signingAlgorithm: algorithm,
      ...validFor(authorityDays),
      extensions: [
        new BasicConstraintsExtension(true, 0, true),
        new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
        await SubjectKeyIdentifierExtension.create(keys.publicKey),
      ],
    });
    return new Authority(certificate, keys.privateKey);
  }

  /** For a server and a client at once: an edge is one to its devices, and the other to its core. */
  async issue({ commonName, hosts, uris }: IssueRequest): Promise<Issued> {
    const keys = await newKeys();
    const certificate = await X509CertificateGenerator.create({
      subject: [{ CN: [commonName] }],
      issuer: this.#certificate.subjectName,
      publicKey: keys.publicKey,
      signingKey: this.#key,
      signingAlgorithm: algorithm,
      ...validFor(certificateDays),
      extensions: [
        new BasicConstraintsExtension(false, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
        new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
        new SubjectAlternativeNameExtension([
          ...hosts.map((value) => ({ type: isIP(value) === 0 ? 'dns' : 'ip', value }) as const),
          ...uris.map((value) => ({ type: 'url', value }) as const),
        ]),
      ],
    });
    return { cert: `${certificate.toString('pem')}\n`, key: pemOf(keys.privateKey) };
  }
}

function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
}

function validFor(days: number) {
  const now = Date.now();
  return { notBefore: new Date(now - slackMs), notAfter: new Date(now + days * dayMs) };
}

function pemOf(key: webcrypto.CryptoKey): string {
  return KeyObject.from(key).export({ type: 'pkcs8', format: 'pem' }).toString();
}

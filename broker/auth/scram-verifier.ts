/**
 * What a server keeps of a SCRAM password: enough to check a proof, not enough to make one. In text
 * as PostgreSQL has it: `SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`.
 * Source: RFC 5802 section 3, RFC 7677.
 */
import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';

export interface ScramVerifier {
  readonly iterations: number;
  readonly salt: Buffer;
  readonly storedKey: Buffer;
  readonly serverKey: Buffer;
}

export function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

export function hash(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest();
}

/** Compatibility forms of the same characters are one password; nothing else of SASLprep is. */
export function verifierOf(
  password: string,
  { salt, iterations }: { readonly salt: Buffer; readonly iterations: number },
): ScramVerifier {
  const salted = pbkdf2Sync(password.normalize('NFKC'), salt, iterations, 32, 'sha256');
  const storedKey = hash(hmac(salted, 'Client Key'));
  return { iterations, salt, storedKey, serverKey: hmac(salted, 'Server Key') };
}

export function verifierText({ iterations, salt, storedKey, serverKey }: ScramVerifier): string {
  const [s, stored, server] = [salt, storedKey, serverKey].map((one) => one.toString('base64'));
  return `SCRAM-SHA-256$${iterations}:${s}$${stored}:${server}`;
}

/** `text` is of the form; the configuration has checked it. */
export function readVerifier(text: string): ScramVerifier {
  const [, head = '', keys = ''] = text.split('$');
  const [iterations, salt = ''] = head.split(':');
  const [stored = '', server = ''] = keys.split(':');
  return {
    iterations: Number(iterations),
    salt: Buffer.from(salt, 'base64'),
    storedKey: Buffer.from(stored, 'base64'),
    serverKey: Buffer.from(server, 'base64'),
  };
}

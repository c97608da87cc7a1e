/**
 * Secrets of devices, as they are made and kept. They are random, so nobody can guess them from their
 * hash; scrypt, off the event loop, is for the day on which they are not.
 */
import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';

export interface SecretHash {
  readonly salt: Buffer;
  readonly hash: Buffer;
}

const saltBytes = 16;
const hashBytes = 32;
/** About 3 ms: a fleet that reconnects to an edge that has just started is hashed within a minute. */
const cost = { N: 1024, r: 8, p: 1 } as const;

/** 192 random bits in characters that need no quotes anywhere. */
export function newSecret(): string {
  return randomBytes(24).toString('base64url');
}

export async function hashOf(secret: string): Promise<SecretHash> {
  const salt = randomBytes(saltBytes);
  return { salt, hash: await scrypted(Buffer.from(secret), salt) };
}

export async function isSecret(given: Buffer, { salt, hash }: SecretHash): Promise<boolean> {
  const found = await scrypted(given, salt);
  return found.length === hash.length && timingSafeEqual(found, hash);
}

function scrypted(secret: Buffer, salt: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    scrypt(secret, salt, hashBytes, cost, (error, hash) => {
      if (error === null) resolve(hash);
      else reject(error);
    });
  });
}

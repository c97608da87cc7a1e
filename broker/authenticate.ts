/**
 * Whether a device is who it says: user name and password against the configured users, or
 * anonymous where the configuration lets everybody in.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { Config } from '../base/config.ts';

/** Devices' secrets are random, so a plain digest does; the comparison takes constant time. */
export type Authenticate = (username: string, password: Buffer) => boolean;

export function createAuthenticate(auth: Config['auth']): Authenticate {
  const digests = new Map<string, Buffer>();
  for (const user of auth.users) {
    digests.set(user.username, Buffer.from(user.password_sha256, 'hex'));
  }
  // The doors were checked at start: without users, only loopback or `auth.anonymous` gets here.
  if (digests.size === 0) return () => true;
  const nobody = Buffer.alloc(32);
  return (username, password) => {
    const expected = digests.get(username);
    const given = createHash('sha256').update(password).digest();
    return timingSafeEqual(given, expected ?? nobody) && expected !== undefined;
  };
}

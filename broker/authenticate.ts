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

/** What one step of enhanced authentication comes to. */
export type AuthenticationStep =
  /** Sent to the client, which answers. */
  | { readonly kind: 'challenge'; readonly data: Buffer | null }
  /** The user name stands for the client from now on; without one, that of CONNECT does. */
  | { readonly kind: 'accepted'; readonly data: Buffer | null; readonly username?: string }
  | { readonly kind: 'refused' };

/** One client's way through a method; several steps, one at a time. */
export interface AuthenticationExchange {
  /** `data` is what the client sent, null for none. */
  step(data: Buffer | null): Promise<AuthenticationStep>;
}

/** Enhanced authentication of MQTT 5 (section 4.12): methods of challenge and response. */
export interface EnhancedAuthenticate {
  /** Null when the method is not offered. Called anew for a re-authentication. */
  begin(
    method: string,
    client: { readonly clientId: string; readonly username: string },
  ): AuthenticationExchange | null;
}

export const noEnhancedAuthenticate: EnhancedAuthenticate = { begin: () => null };

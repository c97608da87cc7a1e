/**
 * Enhanced authentication of MQTT 5: what a method of challenge and response is asked for. One-step
 * credentials are `auth/`'s.
 */
import type { Identity } from '../base/identity.ts';
import type { RefusalReason } from './auth/authenticator.ts';

/** What one step of enhanced authentication comes to. */
export type AuthenticationStep =
  /** Sent to the client, which answers. */
  | { readonly kind: 'challenge'; readonly data: Buffer | null }
  | { readonly kind: 'accepted'; readonly data: Buffer | null; readonly identity: Identity }
  /** Without a reason the client is told that it is not authorized. */
  | { readonly kind: 'refused'; readonly reason?: RefusalReason };

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
    client: {
      readonly clientId: string;
      readonly username: string;
      /** `address:port`. */
      readonly remoteAddress: string;
    },
  ): AuthenticationExchange | null;
}

export const noEnhancedAuthenticate: EnhancedAuthenticate = { begin: () => null };

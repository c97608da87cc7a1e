/**
 * Who may do what: one question, asked at every door. Devices may publish and subscribe to every
 * topic that is not reserved: names that begin with `$` belong to the server.
 */

import type { Identity } from '../base/identity.ts';

/** Who is asking. */
export interface Principal {
  readonly clientId: string;
  /** Empty for an anonymous device. */
  readonly username: string;
  /** What the client has proved. */
  readonly identity: Identity;
}

export type Action = 'publish' | 'subscribe';

/** Synchronous, so that a client's messages keep their order. */
export type Authorize = (principal: Principal, action: Action, topic: string) => boolean;

export const authorize: Authorize = (_principal, action, topic) => {
  if (!topic.startsWith('$')) return true;
  // Reading `$SYS` is harmless and usual. Of a shared subscription what is asked for is its filter.
  return action === 'subscribe' && topic.startsWith('$SYS/');
};

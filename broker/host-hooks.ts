/** What Aedes asks for, and who answers it. */
import type { Admission } from './admission.ts';
import type { HostHooks } from './aedes-host.ts';
import type { Connection } from './connection/connection.ts';
import type { Subscriptions } from './subscriptions.ts';

export interface HostHookParts {
  readonly admission: Admission;
  readonly subscriptions: Subscriptions;
  /** CONNACK success is written: the session gets its connection. */
  readonly attach: (connection: Connection) => void;
}

/** From here up reason codes are failures. */
const failure = 0x80;

export function hostHooks(parts: HostHookParts): HostHooks {
  const { admission, subscriptions, attach } = parts;
  return {
    connecting: (connection, packet) => admission.connecting(connection, packet),
    admit: (connection) => admission.admit(connection),
    ready: attach,
    grant: async (connection, filter) => {
      // Aedes knows of the filter and its QoS alone: the rest of what is asked stands here.
      const { subscribing } = connection;
      const requested = subscribing?.of(filter);
      if (subscribing === null || requested === undefined) return false;
      const reasonCode = await subscriptions.grant(connection, requested);
      if (reasonCode !== requested.qos) subscribing.answer(filter, reasonCode);
      return reasonCode < failure;
    },
    granted: (connection, filters) => subscriptions.granted(connection, filters),
    revoke: (connection, filters) => subscriptions.revoke(connection, filters),
    revoked: (connection, filters) => subscriptions.revoked(connection, filters),
  };
}

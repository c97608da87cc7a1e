/** What Aedes asks for, and who answers it. */
import type { Logger } from '../base/log.ts';
import type { Admission } from './admission.ts';
import type { HostHooks } from './aedes-host.ts';
import type { Connection } from './connection/connection.ts';
import type { Subscriptions } from './subscriptions.ts';
import type { Wills } from './wills.ts';

export interface HostHookParts {
  readonly log: Logger;
  readonly admission: Admission;
  readonly subscriptions: Subscriptions;
  readonly wills: Wills;
  /** CONNACK success is written: the session gets its connection. */
  readonly attach: (connection: Connection) => void;
}

export function hostHooks(parts: HostHookParts): HostHooks {
  const { log, admission, subscriptions, wills, attach } = parts;
  return {
    connecting: (connection, packet) => admission.connecting(connection, packet),
    admit: (connection) => admission.admit(connection),
    keepWill: async (connection, will) => {
      const clientId = admission.of(connection)?.principal.clientId;
      if (clientId !== undefined) await wills.keep(clientId, connection, will);
    },
    ready: attach,
    grant: (connection, filter, qos) => subscriptions.grant(connection, filter, qos),
    granted: (connection, filters) => {
      subscriptions.granted(connection, filters).catch((error: unknown) => {
        log.error({ err: error }, 'retained messages could not be sent');
      });
    },
    revoke: (connection, filters) => subscriptions.revoke(connection, filters),
    revoked: (connection, filters) => subscriptions.revoked(connection, filters),
    publishWill: (will) => wills.publish(will),
    dropWill: (clientId) => wills.drop(clientId),
  };
}

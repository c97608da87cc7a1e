/**
 * Devices of the registry that change while they are connected, or while their session is kept: one that
 * is deleted loses its session, one that is disabled or has another secret its connection, and other roles
 * and labels hold from now on.
 */
import type { Logger } from '../base/log.ts';
import type { RegisteredDevice } from '../base/registered-device.ts';
import type { RegisteredDevices } from './auth/registered-devices.ts';
import type { Revocation } from './revocation.ts';
import type { Session } from './session.ts';
import type { Sessions } from './sessions.ts';

interface RegistryChangesParts {
  readonly log: Logger;
  readonly sessions: Sessions;
  readonly revocation: Revocation;
}

export function followRegistry(registered: RegisteredDevices, parts: RegistryChangesParts): void {
  const changes = new RegistryChanges(registered, parts);
  registered.devices.onChanged((names) => {
    for (const name of names) changes.changed(name);
  });
}

class RegistryChanges {
  readonly #registered: RegisteredDevices;
  readonly #parts: RegistryChangesParts;

  constructor(registered: RegisteredDevices, parts: RegistryChangesParts) {
    this.#registered = registered;
    this.#parts = parts;
  }

  changed(name: string): void {
    // The name of a device is its client identifier.
    const session = this.#parts.sessions.get(name);
    if (session === undefined || !this.#isOfRegistry(session)) return;
    const device = this.#registered.devices.find(name);
    if (device === undefined) this.#end(session);
    else this.#hold(session, device);
  }

  /** One that nobody has held since the start began with that user name. */
  #isOfRegistry({ principal, identity }: Session): boolean {
    if (principal === null) return identity.username === identity.clientId;
    return this.#registered.originOf(principal.identity) !== undefined;
  }

  #end(session: Session): void {
    const { log, sessions } = this.#parts;
    log.info({ client_id: session.clientId }, 'session of a deleted device ended');
    session.expirySeconds = 0;
    if (session.connection === null) sessions.end(session);
    else session.connection.end('not-authorized');
  }

  #hold(session: Session, device: RegisteredDevice): void {
    const { principal, connection } = session;
    const { revocation, log } = this.#parts;
    if (principal === null) return;
    const before = this.#registered.originOf(principal.identity);
    const isProven = before?.credentialVersion === device.credentialVersion;
    if (connection !== null && (device.isDisabled || !isProven)) {
      log.info({ client_id: session.clientId }, 'connection of a changed device ended');
      connection.end('not-authorized');
      return;
    }
    revocation.become(session, principal, this.#registered.identityOf(device));
  }
}

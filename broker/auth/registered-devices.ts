/**
 * Devices of the registry: the name as user name, its secret as password, and no other client identifier
 * than the name. A secret that was right once is known again by a digest in memory, so that a fleet that
 * comes back is not hashed a second time.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { type Identity, plainIdentity } from '../../base/identity.ts';
import type { KnownDevices, RegisteredDevice } from '../../base/registered-device.ts';
import { isSecret } from '../../base/secret-hash.ts';
import {
  type Authenticator,
  accepted,
  type Credentials,
  refused,
  unknown,
  type Verdict,
} from './authenticator.ts';

/** Hashes under way: they are made by the threads that write to the disk, which needs the others. */
const hashesMax = 2;
/** Clients that wait for theirs, for a few seconds at most. */
const waitingMax = 4_096;

interface Proven {
  readonly device: RegisteredDevice;
  readonly digest: Buffer;
}

const registryMethod = 'registry';

export class RegisteredDevices implements Authenticator {
  readonly method = registryMethod;
  readonly devices: KnownDevices;
  readonly #key = randomBytes(32);
  readonly #proven = new Map<string, Proven>();
  /** What an identity was made of. */
  readonly #origins = new WeakMap<Identity, RegisteredDevice>();
  readonly #waitingMax: number;
  #hashes = 0;
  #waiting: (() => void)[] = [];

  constructor(devices: KnownDevices, options: { readonly waitingMax: number } = { waitingMax }) {
    this.devices = devices;
    this.#waitingMax = options.waitingMax;
    devices.onChanged((names) => {
      for (const name of names) this.#proven.delete(name);
    });
  }

  authenticate({ clientId, username, password }: Credentials): Verdict | Promise<Verdict> {
    const device = this.devices.find(username);
    if (device === undefined) return unknown;
    if (password === null || password.length === 0) return refused('credentials');
    const digest = createHmac('sha256', this.#key).update(password).digest();
    const proven = this.#proven.get(username);
    if (proven?.device === device && timingSafeEqual(proven.digest, digest)) {
      return this.#verdictOn(device, clientId);
    }
    if (this.#waiting.length >= this.#waitingMax) return refused('authentication-unavailable');
    return this.#prove({ name: username, password, digest, clientId }, device);
  }

  async #prove(
    given: {
      readonly name: string;
      readonly password: Buffer;
      readonly digest: Buffer;
      readonly clientId: string;
    },
    device: RegisteredDevice,
  ): Promise<Verdict> {
    if (!(await this.#isSecret(given.password, device))) return refused('credentials');
    // It may have got another one meanwhile, or be gone.
    if (this.devices.find(given.name) !== device) return refused('credentials');
    this.#proven.set(given.name, { device, digest: given.digest });
    return this.#verdictOn(device, given.clientId);
  }

  async #isSecret(password: Buffer, { secret }: RegisteredDevice): Promise<boolean> {
    if (this.#hashes >= hashesMax) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else this.#hashes++;
    try {
      return await isSecret(password, secret);
    } finally {
      // Who waits longest has the turn of this one.
      const next = this.#waiting.shift();
      if (next === undefined) this.#hashes--;
      else next();
    }
  }

  /** Of a device as it is now. */
  identityOf(device: RegisteredDevice): Identity {
    const { name, roles, labels } = device;
    const identity = plainIdentity({ name, roles, labels, method: registryMethod });
    this.#origins.set(identity, device);
    return identity;
  }

  /** The device that the identity was made of; undefined when it is not of the registry. */
  originOf(identity: Identity): RegisteredDevice | undefined {
    return this.#origins.get(identity);
  }

  /** Of right credentials. */
  #verdictOn(device: RegisteredDevice, clientId: string): Verdict {
    if (device.isDisabled) return refused('identity-disabled');
    if (clientId !== device.name) return refused('client-id-foreign');
    return accepted(this.identityOf(device));
  }
}

/** None where an edge knows no registry. */
export function registeredOf(devices: KnownDevices | undefined): RegisteredDevices[] {
  return devices === undefined ? [] : [new RegisteredDevices(devices)];
}

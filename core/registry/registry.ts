/**
 * The devices that may connect: kept on disk, held in memory, and told to who listens, in the order of
 * the changes. Changes are made one after the other.
 */
import type { Clock } from '../../base/clock.ts';
import { DeviceTable } from '../../base/device-table.ts';
import { TrunklineError } from '../../base/errors.ts';
import type { RegisteredDevice } from '../../base/registered-device.ts';
import { hashOf, newSecret } from '../../base/secret-hash.ts';

/** What an operator says of a device. */
export interface DeviceSpec {
  readonly name: string;
  readonly roles: readonly string[];
  readonly labels: ReadonlyMap<string, string>;
  readonly isDisabled: boolean;
}

/** The secret is told here, and nowhere again. */
export interface IssuedDevice {
  readonly device: RegisteredDevice;
  readonly secret: string;
}

export interface DeviceChange {
  readonly devices: readonly RegisteredDevice[];
  readonly removed: readonly string[];
}

const namePattern = /^[A-Za-z0-9._:-]{1,128}$/;
const wordPattern = /^[A-Za-z0-9._-]{1,64}$/;
const listMax = 64;
const labelValueBytesMax = 256;

/** All are in the memory of the core and of every edge. */
const devicesMax = 1_000_000;

/** Of one import. */
export const importMax = 1_000;

export class Registry {
  readonly #clock: Clock;
  readonly #table: DeviceTable;
  readonly #devices = new Map<string, RegisteredDevice>();
  readonly #listeners = new Set<(change: DeviceChange) => void>();
  /** In order, made again when it is asked for after a device has come or gone. */
  #names: readonly string[] | null = null;
  #last: Promise<unknown> = Promise.resolve();

  private constructor(clock: Clock, table: DeviceTable) {
    this.#clock = clock;
    this.#table = table;
  }

  /** Throws `data-unwritable` or `store-failing`. */
  static async open(clock: Clock, file: string): Promise<Registry> {
    const table = await DeviceTable.open(file);
    const registry = new Registry(clock, table);
    for (const device of await table.load()) registry.#devices.set(device.name, device);
    return registry;
  }

  get count(): number {
    return this.#devices.size;
  }

  all(): Iterable<RegisteredDevice> {
    return this.#devices.values();
  }

  /** Throws `not-found`. */
  get(name: string): RegisteredDevice {
    const device = this.#devices.get(name);
    if (device !== undefined) return device;
    throw new TrunklineError('not-found', `There is no device ${shown(name)} in the registry.`);
  }

  /** In the order of their names, those behind `after`. */
  list(after: string, count: number): RegisteredDevice[] {
    this.#names ??= [...this.#devices.keys()].sort();
    const names = this.#names;
    let low = 0;
    let high = names.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((names[middle] as string) > after) high = middle;
      else low = middle + 1;
    }
    return names.slice(low, low + count).map((name) => this.get(name));
  }

  /** All or none. Throws `device-invalid` or `device-exists`. */
  create(specs: readonly DeviceSpec[]): Promise<IssuedDevice[]> {
    return this.#change(async () => {
      this.#checkNew(specs);
      const now = this.#clock.now();
      const issued: IssuedDevice[] = [];
      for (const spec of specs) {
        const secret = newSecret();
        const times = { createdAtMs: now, updatedAtMs: now, credentialVersion: 1 };
        issued.push({ device: { ...spec, ...times, secret: await hashOf(secret) }, secret });
      }
      await this.#put(issued.map(({ device }) => device));
      return issued;
    });
  }

  /** Throws `not-found` or `device-invalid`. */
  update(spec: DeviceSpec): Promise<RegisteredDevice> {
    return this.#change(async () => {
      const present = this.get(spec.name);
      check(spec);
      const device = { ...present, ...spec, updatedAtMs: this.#clock.now() };
      await this.#put([device]);
      return device;
    });
  }

  /** Throws `not-found`. */
  rotate(name: string): Promise<IssuedDevice> {
    return this.#change(async () => {
      const present = this.get(name);
      const secret = newSecret();
      const device = {
        ...present,
        updatedAtMs: this.#clock.now(),
        credentialVersion: present.credentialVersion + 1,
        secret: await hashOf(secret),
      };
      await this.#put([device]);
      return { device, secret };
    });
  }

  /** Throws `not-found`. */
  remove(name: string): Promise<void> {
    return this.#change(async () => {
      this.get(name);
      await this.#table.remove([name]);
      this.#devices.delete(name);
      this.#names = null;
      this.#tell({ devices: [], removed: [name] });
    });
  }

  /** Answers how to stop. */
  onChanged(listener: (change: DeviceChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    await this.#last;
    await this.#table.close();
  }

  /** One after the other; one that fails does not hold up the next. */
  #change<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => {});
    return done;
  }

  async #put(devices: readonly RegisteredDevice[]): Promise<void> {
    await this.#table.put(devices);
    for (const device of devices) this.#devices.set(device.name, device);
    this.#names = null;
    this.#tell({ devices, removed: [] });
  }

  #tell(change: DeviceChange): void {
    for (const listener of [...this.#listeners]) listener(change);
  }

  #checkNew(specs: readonly DeviceSpec[]): void {
    if (specs.length === 0 || specs.length > importMax) {
      throw invalid(`There are ${specs.length} devices; give 1 to ${importMax}.`);
    }
    if (this.#devices.size + specs.length > devicesMax) {
      throw new TrunklineError('overloaded', `The registry takes ${devicesMax} devices at most.`);
    }
    const names = new Set<string>();
    for (const spec of specs) {
      check(spec);
      if (this.#devices.has(spec.name) || names.has(spec.name)) {
        const text = `The device ${shown(spec.name)} is there already; give another name, or update it.`;
        throw new TrunklineError('device-exists', text);
      }
      names.add(spec.name);
    }
  }
}

function check({ name, roles, labels }: DeviceSpec): void {
  if (!namePattern.test(name)) {
    const allowed = '1 to 128 letters, digits, dots, dashes, underscores or colons';
    throw invalid(`The name is ${shown(name)}; give ${allowed}.`);
  }
  if (roles.length > listMax || labels.size > listMax) {
    throw invalid(`The device ${name} has more than ${listMax} roles or labels.`);
  }
  for (const word of [...roles, ...labels.keys()]) {
    if (wordPattern.test(word)) continue;
    const allowed = '1 to 64 letters, digits, dots, dashes or underscores';
    throw invalid(`The device ${name} has the role or label ${shown(word)}; give ${allowed}.`);
  }
  for (const [label, value] of labels) {
    if (value !== '' && Buffer.byteLength(value) <= labelValueBytesMax) continue;
    const text = `give it 1 to ${labelValueBytesMax} bytes`;
    throw invalid(`The label ${label} of the device ${name} is ${shown(value)}; ${text}.`);
  }
}

function invalid(message: string): TrunklineError {
  return new TrunklineError('device-invalid', message);
}

function shown(text: string): string {
  return JSON.stringify(text.length > 64 ? `${text.slice(0, 64)}…` : text);
}

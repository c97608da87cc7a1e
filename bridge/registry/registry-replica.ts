/**
 * The registry as an edge knows it: every device that the core told of, on disk, so that those that are
 * known are let in while no core is in reach. Asks the cores in turn until one answers.
 */
import { type ClientOptions, type ClientReadableStream, Metadata } from '@grpc/grpc-js';
import { Backoff } from '../../base/backoff.ts';
import type { Clock } from '../../base/clock.ts';
import { DeviceTable } from '../../base/device-table.ts';
import { messageOf } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import type { Metrics } from '../../base/metrics.ts';
import {
  deviceText,
  type KnownDevices,
  type RegisteredDevice,
} from '../../base/registered-device.ts';
import type { TlsSource } from '../../base/tls/tls-identity.ts';
import {
  type KnownDevice,
  RegistryFeedServiceClient,
  type WatchDevicesResponse,
} from '../../proto/gen/trunkline/v1/registry.ts';
import { channelTo } from '../../proto/tls-credentials.ts';

const clientOptions: ClientOptions = {
  'grpc.use_local_subchannel_pool': 1,
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 5_000,
  'grpc.enable_retries': 0,
  'grpc.enable_channelz': 0,
};

export interface RegistryReplicaParts {
  readonly log: Logger;
  readonly clock: Clock;
  readonly metrics: Metrics;
}

export interface RegistryReplicaOptions {
  readonly file: string;
  /** As in `edge.cores`. */
  readonly cores: readonly string[];
  readonly token: string;
  /** None: in plain. */
  readonly tls?: TlsSource | null;
}

export class RegistryReplica implements KnownDevices {
  readonly #parts: RegistryReplicaParts;
  readonly #options: RegistryReplicaOptions;
  readonly #table: DeviceTable;
  readonly #devices = new Map<string, RegisteredDevice>();
  readonly #listeners: ((names: readonly string[]) => void)[] = [];
  readonly #backoff = new Backoff({ firstMs: 250, maxMs: 5_000 });
  /** Of the snapshot that is coming; null behind its end. */
  #told: Set<string> | null = new Set();
  #core = 0;
  #client: RegistryFeedServiceClient | null = null;
  #call: ClientReadableStream<WatchDevicesResponse> | null = null;
  #stopWaiting: () => void = () => {};
  #writing: Promise<void> = Promise.resolve();
  #isCurrent = false;
  #isClosed = false;

  private constructor(
    parts: RegistryReplicaParts,
    options: RegistryReplicaOptions,
    table: DeviceTable,
  ) {
    this.#parts = parts;
    this.#options = options;
    this.#table = table;
    const { metrics } = parts;
    metrics.gauge(
      'trunkline_registry_devices',
      'Devices of the registry that this edge knows.',
      () => this.#devices.size,
    );
    metrics.gauge(
      'trunkline_registry_current',
      '1 while a core tells this edge of changes in the registry.',
      () => (this.#isCurrent ? 1 : 0),
    );
  }

  /** With what is known from before. Throws `data-unwritable` or `store-failing`. */
  static async open(
    parts: RegistryReplicaParts,
    options: RegistryReplicaOptions,
  ): Promise<RegistryReplica> {
    const table = await DeviceTable.open(options.file);
    const replica = new RegistryReplica(parts, options, table);
    for (const device of await table.load()) replica.#devices.set(device.name, device);
    replica.#watch();
    return replica;
  }

  find(name: string): RegisteredDevice | undefined {
    return this.#devices.get(name);
  }

  onChanged(listener: (names: readonly string[]) => void): void {
    this.#listeners.push(listener);
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#stopWaiting();
    this.#call?.cancel();
    this.#client?.close();
    await this.#writing;
    await this.#table.close();
  }

  #watch(): void {
    const { cores, tls, token } = this.#options;
    const core = cores[this.#core % cores.length] as string;
    const [address = ''] = core.split('@');
    const { credentials, options } = channelTo(address, tls ?? null);
    const client = new RegistryFeedServiceClient(address, credentials, {
      ...clientOptions,
      ...options,
    });
    const metadata = new Metadata();
    if (token !== '') metadata.set('authorization', `Bearer ${token}`);
    const call = client.watchDevices({}, metadata);
    this.#client = client;
    this.#call = call;
    this.#told = new Set();
    let isOver = false;
    const over = (reason: string) => {
      if (isOver) return;
      isOver = true;
      this.#over(client, { address, reason });
    };
    call.on('data', (message: WatchDevicesResponse) => this.#take(message));
    call.on('error', (error) => over(messageOf(error)));
    call.on('end', () => over('ended by the core'));
  }

  #over(client: RegistryFeedServiceClient, fields: { address: string; reason: string }): void {
    client.close();
    this.#isCurrent = false;
    if (this.#isClosed) return;
    this.#parts.log.info(fields, 'registry not told any more, going on with what is known');
    this.#core++;
    this.#stopWaiting = this.#parts.clock.after(this.#backoff.next(), () => this.#watch());
  }

  #take({ devices, removed, snapshotEnd }: WatchDevicesResponse): void {
    if (this.#isClosed) return;
    const changed: RegisteredDevice[] = [];
    for (const message of devices) {
      const device = deviceOf(message);
      if (device === null) continue;
      this.#told?.add(device.name);
      if (isSame(this.#devices.get(device.name), device)) continue;
      this.#devices.set(device.name, device);
      changed.push(device);
    }
    const gone = snapshotEnd ? [...removed, ...this.#notTold()] : removed;
    for (const name of gone) this.#devices.delete(name);
    if (snapshotEnd) {
      this.#told = null;
      this.#isCurrent = true;
      this.#backoff.reset();
    }
    if (changed.length + gone.length > 0) this.#keep(changed, gone);
  }

  #notTold(): string[] {
    return [...this.#devices.keys()].filter((name) => this.#told?.has(name) === false);
  }

  /** In force at once; a write that fails is made good by the next snapshot. */
  #keep(changed: readonly RegisteredDevice[], gone: readonly string[]): void {
    this.#writing = this.#writing
      .then(async () => {
        if (changed.length > 0) await this.#table.put(changed);
        if (gone.length > 0) await this.#table.remove(gone);
      })
      .catch((error: unknown) => {
        this.#parts.log.error({ err: error }, 'registry not written down');
        this.#call?.cancel();
      });
    const names = [...changed.map(({ name }) => name), ...gone];
    for (const listener of this.#listeners) listener(names);
  }
}

function deviceOf({ device, salt, hash }: KnownDevice): RegisteredDevice | null {
  if (device === undefined) return null;
  const { name, roles, labels, disabled, createdAtMs, updatedAtMs, credentialVersion } = device;
  return {
    name,
    roles,
    labels: new Map(labels.map((label) => [label.name, label.value])),
    isDisabled: disabled,
    createdAtMs,
    updatedAtMs,
    credentialVersion,
    secret: { salt: Buffer.from(salt), hash: Buffer.from(hash) },
  };
}

function isSame(one: RegisteredDevice | undefined, other: RegisteredDevice): boolean {
  return one !== undefined && deviceText(one) === deviceText(other);
}

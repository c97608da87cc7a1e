/**
 * Which device is open on which gateway stream, one per client identifier, and what the session
 * index hears of it. Counters move with every delivery, so they are told every two seconds.
 */
import type { Clock } from '../../base/clock.ts';
import type { Metrics } from '../../base/metrics.ts';
import type { SessionEvent } from '../../proto/gen/trunkline/v1/session.ts';
import type { SessionSink } from '../sessions/session-sink.ts';
import type { GatewayDevice } from './gateway-device.ts';

const tellMs = 2_000;

/** One who must be told that its device was opened elsewhere. */
export interface DeviceOwner {
  takenOver(device: GatewayDevice): void;
}

/** What differs from event to event. */
type EventFacts =
  | 'clientId'
  | 'gatewayId'
  | 'remoteAddress'
  | 'username'
  | 'kind'
  | 'reason'
  | 'by'
  | 'connectedMs';

interface Open {
  readonly device: GatewayDevice;
  readonly owner: DeviceOwner;
}

export class DeviceRegistry {
  readonly #sessions: SessionSink;
  readonly #clock: Clock;
  readonly #coreId: string;
  /** Not an edge's name: those have no colon. */
  readonly #holder: string;
  readonly #open = new Map<string, Open>();
  readonly #changed = new Set<GatewayDevice>();
  readonly #stopTelling: () => void;

  constructor(
    parts: { sessions: SessionSink; clock: Clock; metrics: Metrics },
    options: { coreId: string },
  ) {
    this.#sessions = parts.sessions;
    this.#clock = parts.clock;
    this.#coreId = options.coreId;
    this.#holder = `core:${options.coreId}`;
    this.#stopTelling = parts.clock.every(tellMs, () => this.#tellChanged());
    parts.metrics.gauge(
      'trunkline_gateway_devices',
      'Devices open behind gateways.',
      () => this.#open.size,
    );
  }

  /** Ends the client identifier's other session here, if there is one. */
  evict(clientId: string): void {
    const present = this.#open.get(clientId);
    if (present === undefined) return;
    this.#open.delete(clientId);
    this.#changed.delete(present.device);
    this.#happened(present.device, 'taken-over', 'taken-over');
    present.owner.takenOver(present.device);
  }

  add(device: GatewayDevice, owner: DeviceOwner): void {
    this.#open.set(device.clientId, { device, owner });
    this.#sessions.upsert(this.#holder, [device.session()]);
    this.#happened(device, 'connected', '');
  }

  /** A device that its gateway could not open. */
  refused(
    device: {
      readonly clientId: string;
      readonly gatewayId: string;
      readonly remoteAddress: string;
    },
    reason: string,
  ): void {
    this.#tell({ ...device, username: '', kind: 'refused', reason, by: 'edge', connectedMs: 0 });
  }

  noteChanged(device: GatewayDevice): void {
    this.#changed.add(device);
  }

  remove(devices: readonly GatewayDevice[], reason: string): void {
    const gone = devices.filter((device) => this.#open.get(device.clientId)?.device === device);
    for (const device of gone) {
      this.#open.delete(device.clientId);
      this.#changed.delete(device);
      this.#happened(device, 'disconnected', reason);
    }
    if (gone.length > 0) {
      this.#sessions.remove(
        this.#holder,
        gone.map((device) => device.clientId),
      );
    }
  }

  close(): void {
    this.#stopTelling();
    this.#changed.clear();
  }

  #happened(device: GatewayDevice, kind: string, reason: string): void {
    const { clientId, gatewayId, remoteAddress, username, connectedAtMs } = device.session();
    const connectedMs = kind === 'connected' ? 0 : this.#clock.now() - connectedAtMs;
    const by = kind === 'connected' ? '' : kind === 'taken-over' ? 'takeover' : 'device';
    this.#tell({ clientId, gatewayId, remoteAddress, username, kind, reason, by, connectedMs });
  }

  #tell(what: Pick<SessionEvent, EventFacts>): void {
    const common = { edgeId: this.#coreId, region: '', listener: 'gateway', protocol: 'grpc' };
    this.#sessions.happened(this.#holder, [{ ...what, ...common, atMs: this.#clock.now() }]);
  }

  #tellChanged(): void {
    const sessions = [];
    for (const device of this.#changed) {
      if (this.#open.get(device.clientId)?.device === device) sessions.push(device.session());
    }
    this.#changed.clear();
    if (sessions.length > 0) this.#sessions.upsert(this.#holder, sessions);
  }
}

/**
 * What edges hear of the registry: all devices, then every change, on the trunk's port and with its
 * token. An edge that does not read is ended, and begins anew when it is back.
 */
import { type ServerWritableStream, status } from '@grpc/grpc-js';
import type { Logger } from '../../base/log.ts';
import type { RegisteredDevice } from '../../base/registered-device.ts';
import { isPeerOf } from '../../base/tls/peer-names.ts';
import type { TlsSource } from '../../base/tls/tls-identity.ts';
import type {
  KnownDevice,
  RegistryFeedServiceServer,
  WatchDevicesRequest,
  WatchDevicesResponse,
} from '../../proto/gen/trunkline/v1/registry.ts';
import type { BearerCheck } from '../grpc/bearer.ts';
import { type CallStatus, endCall } from '../grpc/status.ts';
import type { DeviceChange, Registry } from './registry.ts';
import { deviceMessage } from './registry-service.ts';

type Call = ServerWritableStream<WatchDevicesRequest, WatchDevicesResponse>;

/** In one message. */
const devicesMax = 500;
/** Changes that wait for an edge that does not read. */
const changesMax = 10_000;

const unauthenticated: CallStatus = {
  code: status.UNAUTHENTICATED,
  details: 'The trunk token is missing or wrong: set trunk.token of the edge to that of the core.',
};
const noRegistry: CallStatus = {
  code: status.UNIMPLEMENTED,
  details: 'This core has no registry: its log is shared.',
};
const tooSlow: CallStatus = {
  code: status.RESOURCE_EXHAUSTED,
  details: 'Changes came faster than they were read; watch again.',
};
const closing: CallStatus = { code: status.UNAVAILABLE, details: 'The core is stopping.' };

export interface RegistryFeedParts {
  readonly log: Logger;
  readonly bearer: BearerCheck;
  /** Null where there is none. */
  readonly registry: Registry | null;
  /** With authorities: only who has a certificate of an edge may watch. */
  readonly tls?: TlsSource | null;
}

export class RegistryFeed {
  readonly #parts: RegistryFeedParts;
  readonly #watches = new Set<Watch>();

  constructor(parts: RegistryFeedParts) {
    this.#parts = parts;
  }

  handlers(): RegistryFeedServiceServer {
    return { watchDevices: (call) => this.#watch(call) };
  }

  close(): void {
    for (const watch of [...this.#watches]) watch.end(closing);
  }

  #watch(call: Call): void {
    const { bearer, registry, log, tls } = this.#parts;
    const [given] = call.metadata.get('authorization');
    const isAdmitted = bearer.admits(typeof given === 'string' ? given : undefined);
    const isEdge = !tls?.material.ca || isPeerOf('edge', call.getAuthContext().sslPeerCertificate);
    if (!isAdmitted || !isEdge) {
      const reason = isAdmitted ? 'certificate' : 'token';
      log.warn({ peer: call.getPeer(), reason }, 'watch of the registry refused');
      endCall(call, unauthenticated);
      return;
    }
    if (registry === null) {
      endCall(call, noRegistry);
      return;
    }
    this.#watches.add(new Watch(call, registry, (watch) => this.#watches.delete(watch)));
  }
}

/** One edge. What is not written yet is a list of steps, at its reader's pace. */
class Watch {
  readonly #call: Call;
  readonly #onEnded: (watch: Watch) => void;
  readonly #stop: () => void;
  readonly #snapshot: Iterator<RegisteredDevice>;
  #changes: DeviceChange[] = [];
  #hasSnapshot = false;
  #isBlocked = false;
  #isEnded = false;

  constructor(call: Call, registry: Registry, onEnded: (watch: Watch) => void) {
    this.#call = call;
    this.#onEnded = onEnded;
    // Devices that change or come meanwhile are told again behind it: the later word counts.
    this.#snapshot = [...registry.all()].values();
    this.#stop = registry.onChanged((change) => this.#changed(change));
    call.on('cancelled', () => this.#finish());
    call.on('error', () => this.#finish());
    call.on('drain', () => {
      this.#isBlocked = false;
      this.#pump();
    });
    this.#pump();
  }

  end(ending: CallStatus): void {
    if (!this.#finish()) return;
    endCall(this.#call, ending);
  }

  #finish(): boolean {
    if (this.#isEnded) return false;
    this.#isEnded = true;
    this.#stop();
    this.#changes = [];
    this.#onEnded(this);
    return true;
  }

  #changed(change: DeviceChange): void {
    this.#changes.push(change);
    if (this.#changes.length > changesMax) this.end(tooSlow);
    else this.#pump();
  }

  #pump(): void {
    while (!this.#isBlocked && !this.#isEnded) {
      const message = this.#hasSnapshot ? this.#nextChange() : this.#nextOfSnapshot();
      if (message === null) return;
      this.#isBlocked = !this.#call.write(message);
    }
  }

  #nextOfSnapshot(): WatchDevicesResponse {
    const devices: KnownDevice[] = [];
    while (devices.length < devicesMax) {
      const next = this.#snapshot.next();
      if (next.done === true) {
        this.#hasSnapshot = true;
        break;
      }
      devices.push(knownMessage(next.value));
    }
    return { devices, removed: [], snapshotEnd: this.#hasSnapshot };
  }

  #nextChange(): WatchDevicesResponse | null {
    const change = this.#changes.shift();
    if (change === undefined) return null;
    const devices = change.devices.map(knownMessage);
    return { devices, removed: [...change.removed], snapshotEnd: false };
  }
}

function knownMessage(device: RegisteredDevice): KnownDevice {
  return { device: deviceMessage(device), salt: device.secret.salt, hash: device.secret.hash };
}

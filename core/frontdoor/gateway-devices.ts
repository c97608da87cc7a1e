/**
 * The devices of one gateway stream and what the gateway asks for them. Every answer names its
 * device; a fault of one device is answered to that device and touches no other.
 */
import type { Clock } from '../../base/clock.ts';
import { messageOf, TrunklineError } from '../../base/errors.ts';
import type { Ledger } from '../../base/ledger.ts';
import type { Logger } from '../../base/log.ts';
import type { Publication } from '../../base/publication.ts';
import type {
  AttachRequest,
  AttachResponse,
  DeviceAck,
  DeviceOpen,
  DevicePublish,
} from '../../proto/gen/trunkline/v1/gateway.ts';
import type { Publication as Row } from '../../proto/gen/trunkline/v1/publication.ts';
import type { Fanout } from '../fanout/target.ts';
import type { DeviceOwner, DeviceRegistry } from './device-registry.ts';
import { GatewayDevice } from './gateway-device.ts';
import type { GatewayRights, Holder } from './gateway-rights.ts';
import { type Intake, isRefused } from './intake.ts';

/** Publications in one message: what a gateway gathers while one group commit is under way. */
export const publicationsPerMessageMax = 5_000;

/** More cannot be an MQTT client identifier that anyone types or prints. */
const clientIdBytesMax = 1_024;

/** Why a device is closed: stable words. */
export type CloseReason =
  | 'closed-by-gateway'
  | 'devices-max'
  | 'client-id-invalid'
  | 'will-invalid'
  | 'taken-over'
  | 'ack-invalid'
  | 'not-open';

export type DeviceRequest = Exclude<
  NonNullable<AttachRequest['message']>,
  { readonly $case: 'hello' }
>;

export interface GatewayDevicesParts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly ledger: Ledger;
  readonly fanout: Fanout;
  readonly intake: Intake;
  readonly registry: DeviceRegistry;
  readonly rights: GatewayRights;
  readonly send: (message: NonNullable<AttachResponse['message']>) => void;
  readonly onReady: (device: GatewayDevice) => void;
  /** Counts devices that were refused or closed for a fault. */
  readonly onRefused: (reason: CloseReason) => void;
}

export interface GatewayDevicesOptions {
  readonly gatewayId: string;
  readonly coreId: string;
  readonly remoteAddress: string;
  readonly devicesMax: number;
  readonly inflightMax: number;
}

export class GatewayDevices implements DeviceOwner {
  readonly #parts: GatewayDevicesParts;
  readonly #options: GatewayDevicesOptions;
  readonly #devices = new Map<string, GatewayDevice>();

  constructor(parts: GatewayDevicesParts, options: GatewayDevicesOptions) {
    this.#parts = parts;
    this.#options = options;
  }

  get size(): number {
    return this.#devices.size;
  }

  /** The promise, of a publish alone, resolves when it is answered; it never rejects. */
  handle(request: DeviceRequest): Promise<void> | null {
    if (request.$case === 'open') {
      this.#open(request.value);
      return null;
    }
    const device = this.#devices.get(request.value.clientId);
    if (device === undefined) {
      // An acknowledgement may cross the end of its session; that is no fault of the gateway.
      if (request.$case !== 'ack') this.#refuse(request.value.clientId, 'not-open');
      return null;
    }
    switch (request.$case) {
      case 'publish':
        return this.#publish(device, request.value);
      case 'ack':
        this.#acknowledge(device, request.value);
        return null;
      case 'close':
        this.#end(device, { reason: 'closed-by-gateway', withWill: request.value.withWill });
        return null;
      case 'subscribe': {
        const returnCodes = device.subscribe(request.value.subscriptions);
        this.#parts.send({
          $case: 'subscribed',
          value: { clientId: device.clientId, returnCodes },
        });
        return null;
      }
      case 'unsubscribe':
        device.unsubscribe(request.value.filters);
        this.#parts.send({ $case: 'unsubscribed', value: { clientId: device.clientId } });
        return null;
    }
  }

  /** The device lives on elsewhere: no will, and its session stays listed. */
  takenOver(device: GatewayDevice): void {
    this.#devices.delete(device.clientId);
    device.detach();
    this.#closed(device.clientId, 'taken-over');
  }

  /** The rules are others; answers how many subscriptions have ended. */
  recheck(): number {
    let gone = 0;
    for (const device of this.#devices.values()) gone += device.recheck();
    return gone;
  }

  /** The stream is over: all sessions end and their wills are published. */
  endAll(): void {
    const devices = [...this.#devices.values()];
    this.#devices.clear();
    for (const device of devices) device.detach();
    this.#parts.registry.remove(devices, 'gateway-closed');
    this.#publishWills(devices);
  }

  #open(request: DeviceOpen): void {
    const { clientId } = request;
    const fault = this.#openFault(clientId);
    if (fault !== null) {
      this.#refuse(clientId, fault);
      return;
    }
    const holder = this.#parts.rights.device(clientId);
    const { intake } = this.#parts;
    const will =
      request.will === undefined ? null : intake.admit(request.will, holder.grants, 'will');
    if (will !== null && isRefused(will)) {
      this.#refuse(clientId, 'will-invalid');
      return;
    }
    this.#parts.registry.evict(clientId);
    const device = this.#createDevice(clientId, will, holder);
    this.#devices.set(clientId, device);
    this.#parts.registry.add(device, this);
    this.#parts.send({ $case: 'opened', value: { clientId } });
  }

  #openFault(clientId: string): CloseReason | null {
    if (!isClientId(clientId)) return 'client-id-invalid';
    const isFull = this.#devices.size >= this.#options.devicesMax;
    return isFull && !this.#devices.has(clientId) ? 'devices-max' : null;
  }

  #createDevice(clientId: string, will: Publication | null, holder: Holder): GatewayDevice {
    const { fanout, ledger, registry, onReady, clock } = this.#parts;
    const { gatewayId, coreId, remoteAddress, inflightMax } = this.#options;
    return new GatewayDevice(
      {
        fanout,
        ledger,
        onReady,
        onChanged: (device) => registry.noteChanged(device),
        onDropped: (device) => this.#noteDropped(device),
      },
      {
        clientId,
        gatewayId,
        coreId,
        remoteAddress,
        will,
        holder,
        inflightMax,
        connectedAtMs: clock.now(),
      },
    );
  }

  async #publish(device: GatewayDevice, request: DevicePublish): Promise<void> {
    const { intake, log, send } = this.#parts;
    const { clientId } = device;
    const { refusals, admitted } = this.#admitAll(request.publications, device.holder);
    try {
      await intake.publish(admitted);
      device.countReceived(admitted.length);
    } catch (error) {
      const word = error instanceof TrunklineError ? error.code : 'store-failing';
      log.error({ err: error, gateway: this.#options.gatewayId, clientId }, 'publish failed');
      for (const [index, refusal] of refusals.entries()) if (refusal === '') refusals[index] = word;
    }
    send({ $case: 'published', value: { clientId, requestId: request.requestId, refusals } });
  }

  /** One refusal for each row, empty for those that were admitted. */
  #admitAll(
    rows: readonly Row[],
    { grants }: Holder,
  ): { refusals: string[]; admitted: Publication[] } {
    if (rows.length > publicationsPerMessageMax) {
      this.#parts.ledger.refused('too-large', rows.length);
      return { refusals: rows.map(() => 'too-many'), admitted: [] };
    }
    const admissions = rows.map((row) => this.#parts.intake.admit(row, grants));
    return {
      refusals: admissions.map((admission) => (isRefused(admission) ? admission.refusal : '')),
      admitted: admissions.filter((one): one is Publication => !isRefused(one)),
    };
  }

  #acknowledge(device: GatewayDevice, request: DeviceAck): void {
    if (device.acknowledge(request.throughDeliveryId)) return;
    this.#parts.onRefused('ack-invalid');
    this.#end(device, { reason: 'ack-invalid', withWill: true });
  }

  #end(device: GatewayDevice, how: { reason: CloseReason; withWill: boolean }): void {
    this.#devices.delete(device.clientId);
    device.detach();
    this.#parts.registry.remove([device], how.reason);
    if (how.withWill) this.#publishWills([device]);
    this.#closed(device.clientId, how.reason);
  }

  #publishWills(devices: readonly GatewayDevice[]): void {
    const acceptedAt = this.#parts.clock.now();
    const wills: Publication[] = [];
    for (const { will, holder } of devices) {
      if (will === null) continue;
      // Its rights may have been taken back since it was left.
      const { qos, retain } = will;
      const isAllowed = holder.grants.publish(will.topic, { qos, retain, will: true }).isAllowed;
      if (isAllowed) wills.push({ ...will, acceptedAt });
      else this.#parts.ledger.refused('not-authorized');
    }
    // The intake knows what is under way, and the front door waits for it when it closes.
    this.#parts.intake.publish(wills).catch((error: unknown) => {
      const fields = { gateway: this.#options.gatewayId, wills: wills.length };
      this.#parts.log.error({ ...fields, reason: messageOf(error) }, 'wills not published');
    });
  }

  #noteDropped(device: GatewayDevice): void {
    if (device.droppedCount !== 1) return; // Once a session; the counters tell how many.
    const fields = { gateway: this.#options.gatewayId, clientId: device.clientId };
    this.#parts.log.warn({ ...fields, reason: 'gateway-slow' }, 'deliveries dropped');
  }

  #refuse(clientId: string, reason: CloseReason): void {
    this.#parts.onRefused(reason);
    this.#parts.log.info({ gateway: this.#options.gatewayId, clientId, reason }, 'device refused');
    const { gatewayId, remoteAddress } = this.#options;
    this.#parts.registry.refused({ clientId, gatewayId, remoteAddress }, reason);
    this.#closed(clientId, reason);
  }

  #closed(clientId: string, reason: CloseReason): void {
    this.#parts.send({ $case: 'closed', value: { clientId, reason } });
  }
}

function isClientId(clientId: string): boolean {
  if (clientId === '' || Buffer.byteLength(clientId) > clientIdBytesMax) return false;
  for (let i = 0; i < clientId.length; i++) {
    const code = clientId.charCodeAt(i);
    if (code < 0x20 || code === 0x7f) return false;
  }
  return true;
}

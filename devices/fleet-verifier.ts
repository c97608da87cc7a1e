/**
 * Subscribes to what a fleet publishes and tells the ledger check of each message that comes back:
 * one connection a profile, so that one of them does not read for all. Above QoS 0 its sessions are
 * kept, so that a broken connection of the verifier is not taken for a loss of the broker.
 */
import { TrunklineError } from '../base/errors.ts';
import type { Qos } from '../base/publication.ts';
import type { LedgerCheck } from './ledger-check.ts';
import {
  type BrokerAddress,
  closeMqttClient,
  type MqttClient,
  openMqttClient,
  subscribeMqtt,
} from './mqtt-client.ts';
import type { SimulatedPayload } from './simulated-device.ts';

export interface FleetVerifierOptions {
  /** Stands in the client ids. */
  readonly run: string;
  /** Names of the profiles to listen to. */
  readonly profiles: readonly string[];
  readonly qos: Qos;
}

export class FleetVerifier {
  readonly #address: BrokerAddress;
  readonly #check: LedgerCheck;
  readonly #options: FleetVerifierOptions;
  readonly #clients: MqttClient[] = [];

  constructor(address: BrokerAddress, check: LedgerCheck, options: FleetVerifierOptions) {
    this.#address = address;
    this.#check = check;
    this.#options = options;
  }

  /** Throws `unreachable`, `not-authorized`; afterwards every subscription is granted. */
  async open(): Promise<void> {
    for (const profile of this.#options.profiles) {
      const client = await openMqttClient(this.#address, {
        clientId: this.#clientId(profile),
        clean: this.#options.qos === 0,
      });
      this.#clients.push(client);
      client.on('message', (topic, payload) => this.#received(topic, payload));
      await subscribeMqtt(client, `fleet/${profile}/+/+`, this.#options.qos);
    }
  }

  /** Leaves no kept session behind. */
  async close(): Promise<void> {
    await Promise.all(this.#clients.splice(0).map(closeMqttClient));
    if (this.#options.qos === 0) return;
    for (const profile of this.#options.profiles) {
      const clientId = this.#clientId(profile);
      try {
        await closeMqttClient(await openMqttClient(this.#address, { clientId, clean: true }));
      } catch (error) {
        // A broker that is gone cannot be asked to forget; the session expires there by itself.
        if (!(error instanceof TrunklineError)) throw error;
        return;
      }
    }
  }

  #clientId(profile: string): string {
    return `verifier-${this.#options.run}-${profile}`;
  }

  #received(topic: string, payload: Buffer): void {
    const message = parsePayload(payload);
    if (message === null) return;
    this.#check.received({ deviceId: message.device, counter: message.n, topic });
  }
}

/** Null for what no simulated device says. */
function parsePayload(payload: Buffer): SimulatedPayload | null {
  let parsed: unknown;
  try {
    parsed = JSON.parse(payload.toString());
  } catch {
    return null;
  }
  if (typeof parsed !== 'object' || parsed === null) return null;
  const { device, n } = parsed as Partial<SimulatedPayload>;
  return typeof device === 'string' && typeof n === 'number' ? { device, n } : null;
}

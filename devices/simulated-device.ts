/**
 * One simulated device: an MQTT connection, a profile and a counter. It speaks when the fleet's
 * scheduler says so and has no timer of its own.
 */
import type { Qos } from '../base/publication.ts';
import type { SendBooks } from './ledger-check.ts';
import {
  type BrokerAddress,
  closeMqttClient,
  type MqttClient,
  openMqttClient,
} from './mqtt-client.ts';
import type { Profile } from './profiles/profile.ts';

/** Messages not yet acknowledged, past which a device waits: a slow broker must not fill memory. */
const unackedMax = 32;

export interface SimulatedDeviceOptions {
  readonly id: string;
  readonly profile: Profile;
  readonly seed: number;
  readonly qos: Qos;
}

/** Payload of every simulated device; what the profile says stands beside these two. */
export interface SimulatedPayload {
  readonly device: string;
  /** Counts up from 1. */
  readonly n: number;
}

export class SimulatedDevice {
  readonly id: string;
  readonly #options: SimulatedDeviceOptions;
  readonly #client: MqttClient;
  readonly #books: SendBooks;
  #counter = 0;
  #unacked = 0;

  private constructor(client: MqttClient, books: SendBooks, options: SimulatedDeviceOptions) {
    this.id = options.id;
    this.#client = client;
    this.#books = books;
    this.#options = options;
  }

  /** Throws `unreachable` or `not-authorized`. */
  static async open(
    address: BrokerAddress,
    books: SendBooks,
    options: SimulatedDeviceOptions,
  ): Promise<SimulatedDevice> {
    const client = await openMqttClient(address, { clientId: options.id, clean: true });
    return new SimulatedDevice(client, books, options);
  }

  get isConnected(): boolean {
    return this.#client.connected;
  }

  /** False when the device waits for acknowledgements or for its connection; nothing was sent. */
  publishNext(): boolean {
    if (this.#unacked >= unackedMax || !this.#client.connected) return false;
    const counter = ++this.#counter;
    const { id, qos } = this.#options;
    const { topic, payload } = nextMessage(this.#options, counter);
    this.#unacked++;
    this.#books.sent(id, counter);
    this.#client.publish(topic, payload, { qos }, (error) => {
      this.#unacked--;
      if (!error && qos > 0) this.#books.acked(id, counter);
    });
    return true;
  }

  async close(): Promise<void> {
    await closeMqttClient(this.#client);
  }
}

/** The message with this counter, as a device behind a gateway says it too. */
export function nextMessage(
  device: { readonly id: string; readonly profile: Profile; readonly seed: number },
  counter: number,
): { topic: string; payload: string } {
  const reading = device.profile.reading(device.seed, counter - 1);
  const payload = { device: device.id, n: counter, ...reading.values };
  return {
    topic: `fleet/${device.profile.name}/${device.id}/${reading.kind}`,
    payload: JSON.stringify(payload satisfies SimulatedPayload),
  };
}

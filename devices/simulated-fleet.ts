/**
 * Many simulated devices, connected in paced waves and driven by one scheduler: on each tick the
 * pacer says how many messages are due, and the devices take turns.
 */
import type { Clock } from '../base/clock.ts';
import type { Qos } from '../base/publication.ts';
import type { SendBooks } from './ledger-check.ts';
import type { BrokerAddress } from './mqtt-client.ts';
import { Pacer } from './pacer.ts';
import { type FleetMix, profileAt } from './profiles/profiles.ts';
import { SimulatedDevice } from './simulated-device.ts';

/** Connections being made at once: more only wait in the broker's accept queue. */
const connectingMax = 64;

/** Short against a message's latency, long against the cost of a turn. */
const tickMs = 5;

export interface FleetOptions {
  /** Stands in every device id, so that two runs do not take over each other's sessions. */
  readonly run: string;
  readonly count: number;
  /** Messages a second over the whole fleet. */
  readonly rate: number;
  readonly qos: Qos;
  readonly mix: FleetMix;
  readonly seed: number;
}

export class SimulatedFleet {
  readonly #clock: Clock;
  readonly #address: BrokerAddress;
  readonly #books: SendBooks;
  readonly #options: FleetOptions;
  readonly #devices: SimulatedDevice[] = [];
  #turn = 0;
  #held = 0;
  #pacer: Pacer | null = null;
  #cancelTicks: (() => void) | null = null;

  constructor(
    collaborators: { clock: Clock; address: BrokerAddress; books: SendBooks },
    options: FleetOptions,
  ) {
    this.#clock = collaborators.clock;
    this.#address = collaborators.address;
    this.#books = collaborators.books;
    this.#options = options;
  }

  /** Connects every device, or throws the first failure. Ends early, in order, when aborted. */
  async open(signal: AbortSignal): Promise<void> {
    let next = 0;
    let failed = false;
    const connectSome = async () => {
      while (next < this.#options.count && !signal.aborted && !failed) {
        try {
          this.#devices.push(await this.#openDevice(next++));
        } catch (error) {
          failed = true;
          throw error;
        }
      }
    };
    const workers = Math.min(connectingMax, this.#options.count);
    const results = await Promise.allSettled(Array.from({ length: workers }, connectSome));
    const failure = results.find((result) => result.status === 'rejected');
    if (failure !== undefined) throw failure.reason;
  }

  /** Devices whose connection stands now. */
  get connectedCount(): number {
    return this.#devices.reduce((sum, device) => sum + (device.isConnected ? 1 : 0), 0);
  }

  /** Devices made so far. */
  get openedCount(): number {
    return this.#devices.length;
  }

  /** Messages that were due and not sent, because every device waited for the broker. */
  get heldCount(): number {
    return this.#held;
  }

  /** Publishes until `stop`, or until `totalMax` messages were due. */
  start(totalMax?: number): void {
    if (this.#pacer !== null || this.#devices.length === 0) return;
    const startedAt = this.#clock.elapsed();
    this.#pacer = new Pacer({ perSecond: this.#options.rate, startedAt, totalMax });
    this.#cancelTicks = this.#clock.every(tickMs, () => this.#publishDue());
  }

  /** Ends the publishing, with what is due; the connections stay, so that answers still come. */
  stop(): void {
    if (this.#pacer === null) return;
    this.#publishDue();
    this.#cancelTicks?.();
    this.#cancelTicks = null;
    this.#pacer = null;
  }

  async close(): Promise<void> {
    this.stop();
    const devices = this.#devices.splice(0);
    const closeSome = async () => {
      for (let device = devices.pop(); device !== undefined; device = devices.pop()) {
        await device.close();
      }
    };
    await Promise.all(Array.from({ length: connectingMax }, closeSome));
  }

  #publishDue(): void {
    const due = this.#pacer?.take(this.#clock.elapsed()) ?? 0;
    for (let i = 0; i < due; i++) {
      if (this.#publishOne()) continue;
      this.#held += due - i;
      return;
    }
  }

  /** The next device that can speak does. */
  #publishOne(): boolean {
    const { length } = this.#devices;
    for (let tried = 0; tried < length; tried++) {
      const device = this.#devices[this.#turn] as SimulatedDevice;
      this.#turn = (this.#turn + 1) % length;
      if (device.publishNext()) return true;
    }
    return false;
  }

  #openDevice(index: number): Promise<SimulatedDevice> {
    const { run, seed, qos, mix } = this.#options;
    const profile = profileAt(mix, index);
    const id = `${profile.name}-${run}-${String(index + 1).padStart(5, '0')}`;
    return SimulatedDevice.open(this.#address, this.#books, {
      id,
      profile,
      seed: seed + index,
      qos,
    });
  }
}

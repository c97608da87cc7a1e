/**
 * Publishers that mix QoS 0, 1 and 2 over several topics, a subscriber with a kept session, and the
 * books of both: what was acknowledged and did not arrive, what came twice, what overtook what of
 * the same publisher, topic and QoS. All of them outlive broken connections.
 */
import mqtt, { type MqttClient } from 'mqtt';
import type { Random } from './random.ts';
import { until } from './until.ts';

type Qos = 0 | 1 | 2;

const reconnecting = { reconnectPeriod: 50, connectTimeout: 5_000, clean: false } as const;

/** Messages under way at a time, of one publisher. */
const windowMax = 40;
const topics = 3;

/** The topic says who and where, the text which: "2 17" is the 18th of QoS 2 there. */
export class MixedPublisher {
  readonly client: MqttClient;
  /** "topic qos number" of what was acknowledged. */
  readonly acked = new Set<string>();
  readonly #name: string;
  readonly #random: Random;
  readonly #next = new Map<string, number>();
  #underWay = 0;
  #isStopped = false;
  #running: Promise<void> = Promise.resolve();

  constructor(url: string, name: string, random: Random) {
    this.#name = name;
    this.#random = random;
    this.client = mqtt.connect(url, { ...reconnecting, clientId: name });
    this.client.on('error', () => {});
  }

  start(): void {
    this.#running = this.#run();
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      const burst = this.#random.between(1, 8);
      for (let i = 0; i < burst && this.#underWay < windowMax; i++) this.#publish();
      await new Promise((resolve) => setTimeout(resolve, this.#random.between(1, 6)));
    }
  }

  #publish(): void {
    const qos = this.#random.pick<Qos>([0, 1, 1, 2, 2]);
    // What is sent at QoS 0 without a connection would only be kept by the client.
    if (qos === 0 && !this.client.connected) return;
    const topic = `mix/${this.#name}/${this.#random.below(topics)}`;
    const flow = `${topic} ${qos}`;
    const number = this.#next.get(flow) ?? 0;
    this.#next.set(flow, number + 1);
    this.#underWay++;
    this.client.publish(topic, `${qos} ${number}`, { qos }, (error) => {
      this.#underWay--;
      if (!error && qos > 0) this.acked.add(`${flow} ${number}`);
    });
  }

  async ackedMore(count: number): Promise<void> {
    const goal = this.acked.size + count;
    await until(() => this.acked.size >= goal, `${count} more acknowledgements`, 20_000);
  }

  /** Sends no more, whatever is under way. */
  abandon(): void {
    this.#isStopped = true;
    this.client.end(true);
  }

  /** Resolves when everything sent is acknowledged. */
  async stop(withinMs = 20_000): Promise<void> {
    this.#isStopped = true;
    await this.#running;
    await until(() => this.#underWay === 0, 'everything sent is acknowledged', withinMs);
    await this.client.endAsync();
  }
}

export interface MixedBooks {
  readonly lost: readonly string[];
  readonly reordered: readonly string[];
  readonly doubled: readonly string[];
}

export class MixedSubscriber {
  readonly client: MqttClient;
  readonly #seen = new Set<string>();
  readonly #newest = new Map<string, number>();
  readonly #reordered: string[] = [];
  readonly #doubled: string[] = [];
  /** At QoS 1, where it is allowed. */
  repeated = 0;

  private constructor(client: MqttClient) {
    this.client = client;
    client.on('error', () => {});
    client.on('message', (topic, payload) => this.#take(topic, payload.toString()));
  }

  static async open(url: string, clientId: string): Promise<MixedSubscriber> {
    const client = mqtt.connect(url, { ...reconnecting, clientId, resubscribe: false });
    const subscriber = new MixedSubscriber(client);
    await client.subscribeAsync('mix/#', { qos: 2 });
    return subscriber;
  }

  get count(): number {
    return this.#seen.size;
  }

  #take(topic: string, text: string): void {
    const [qos = '', number = ''] = text.split(' ');
    const flow = `${topic} ${qos}`;
    const message = `${flow} ${number}`;
    if (this.#seen.has(message)) {
      if (qos === '1') this.repeated++;
      else this.#doubled.push(message);
      return;
    }
    this.#seen.add(message);
    const newest = this.#newest.get(flow) ?? -1;
    if (Number(number) < newest) this.#reordered.push(`${message} after ${newest}`);
    this.#newest.set(flow, Math.max(newest, Number(number)));
  }

  /** Resolves with the books once everything acknowledged has arrived, or nothing of it came for
   * `quietMs`. */
  async settle(acked: Iterable<string>, quietMs = 10_000): Promise<MixedBooks> {
    const isMissing = (message: string) => !this.#seen.has(message);
    let lost = [...acked].filter(isMissing);
    let before = Number.POSITIVE_INFINITY;
    while (lost.length > 0 && lost.length < before) {
      before = lost.length;
      const arrived = this.#seen.size;
      const isMore = () => this.#seen.size >= arrived + Math.min(before, 1_000);
      await until(isMore, 'more arrives', quietMs).catch(() => {});
      lost = lost.filter(isMissing);
    }
    return { lost, reordered: this.#reordered, doubled: this.#doubled };
  }

  async end(): Promise<void> {
    await this.client.endAsync(true);
  }
}

/**
 * A publisher and a subscriber that outlive broken connections, and the books that they keep: what
 * was acknowledged, what arrived, what arrived twice, what overtook what.
 */
import mqtt, { type MqttClient } from 'mqtt';
import { until } from './until.ts';

const reconnecting = { reconnectPeriod: 100, connectTimeout: 5_000, clean: false } as const;

/** Messages under way at a time. */
const windowMax = 50;

export class LoadPublisher {
  readonly client: MqttClient;
  readonly acked = new Set<string>();
  sent = 0;
  #isStopped = false;
  #running: Promise<void> = Promise.resolve();

  constructor(url: string, clientId: string) {
    this.client = mqtt.connect(url, { ...reconnecting, clientId });
    this.client.on('error', () => {});
  }

  /** Publishes numbered texts as fast as acknowledgements come, until `stop`. */
  start(topic: string, qos: 1 | 2): void {
    this.#running = this.#run(topic, qos);
  }

  async #run(topic: string, qos: 1 | 2): Promise<void> {
    while (!this.#isStopped) {
      if (this.sent - this.acked.size >= windowMax) {
        await new Promise((resolve) => setTimeout(resolve, 2));
        continue;
      }
      const text = String(this.sent++);
      this.client.publish(topic, text, { qos }, (error) => {
        if (!error) this.acked.add(text);
      });
      if (this.sent % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  /** Resolves when everything sent is acknowledged. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#running;
    await until(() => this.acked.size === this.sent, 'everything sent is acknowledged', 30_000);
    await this.client.endAsync();
  }

  async ackedMore(count: number): Promise<void> {
    const goal = this.acked.size + count;
    await until(() => this.acked.size >= goal, `${count} more acknowledgements`, 30_000);
  }
}

export class LoadSubscriber {
  readonly client: MqttClient;
  readonly firsts: number[] = [];
  readonly #seen = new Set<string>();
  doubled = 0;

  private constructor(client: MqttClient) {
    this.client = client;
    client.on('error', () => {});
    client.on('message', (_topic, payload) => {
      const text = payload.toString();
      if (this.#seen.has(text)) this.doubled++;
      else {
        this.#seen.add(text);
        this.firsts.push(Number(text));
      }
    });
  }

  static async open(url: string, clientId: string, subscription: { filter: string; qos: 1 | 2 }) {
    const client = mqtt.connect(url, { ...reconnecting, clientId, resubscribe: false });
    const subscriber = new LoadSubscriber(client);
    await client.subscribeAsync(subscription.filter, { qos: subscription.qos });
    return subscriber;
  }

  /** Resolves with the books once everything acknowledged has arrived. */
  async settle(acked: ReadonlySet<string>): Promise<{ lost: number; reordered: number }> {
    const lost = () => [...acked].filter((text) => !this.#seen.has(text)).length;
    await until(() => this.#seen.size >= acked.size && lost() === 0, 'all arrived', 30_000).catch(
      () => {},
    );
    const reordered = this.firsts.filter((n, i) => i > 0 && n < (this.firsts[i - 1] as number));
    return { lost: lost(), reordered: reordered.length };
  }

  async end(): Promise<void> {
    await this.client.endAsync(true);
  }
}

/** A pair of devices that exchange messages all the time, and notice when that stops. */
import { TestClient } from '../support/clients.ts';
import { until } from '../support/until.ts';
import type { Ports } from './fuzz-client.ts';

const topic = 'bystander/a';
const everyMs = 20;

/** On a busy machine an exchange takes milliseconds; this long says that it does not happen. */
const waitMsMax = 5_000;

export class Bystander {
  readonly #sender: TestClient;
  readonly #receiver: TestClient;
  #sent = 0;
  #isStopped = false;
  #running: Promise<void> = Promise.resolve();
  slowestMs = 0;

  private constructor(sender: TestClient, receiver: TestClient) {
    this.#sender = sender;
    this.#receiver = receiver;
  }

  static async open(ports: Ports): Promise<Bystander> {
    const receiver = await TestClient.connect(`ws://127.0.0.1:${ports.ws}/mqtt`, {
      clientId: 'bystander-receiver',
    });
    await receiver.subscribe('bystander/+', 1);
    const sender = await TestClient.connect(`mqtt://127.0.0.1:${ports.mqtt}`, {
      clientId: 'bystander-sender',
    });
    return new Bystander(sender, receiver);
  }

  /** Connections and sessions that are the bystander's own. */
  readonly connections = 2;

  get exchanged(): number {
    return this.#sent;
  }

  start(): void {
    this.#running = this.#run();
    // It is awaited in stop(); until then a rejection must not end the process.
    this.#running.catch(() => {});
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      const text = `${this.#sent}`;
      const from = performance.now();
      const acked = this.#sender.publish(topic, text, { qos: 1 });
      acked.catch(() => {});
      await until(() => this.#receiver.received.length > 0, `message ${text} arrives`, waitMsMax);
      this.slowestMs = Math.max(this.slowestMs, performance.now() - from);
      const [one] = this.#receiver.received.splice(0);
      if (one?.text !== text) throw new Error(`got ${one?.text} where ${text} was due`);
      this.#sent++;
      await new Promise((resolve) => setTimeout(resolve, everyMs));
    }
  }

  /** Rejects when an exchange did not take place. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#running;
    await Promise.all([this.#sender.end(), this.#receiver.end()]);
  }
}

/** MQTT.js clients for tests: connect, gather messages, wait for a count. */
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt';

export interface Received {
  readonly topic: string;
  readonly text: string;
  readonly qos: number;
  readonly retain: boolean;
  readonly dup: boolean;
}

export class TestClient {
  readonly mqtt: MqttClient;
  readonly received: Received[] = [];
  readonly sessionPresent: boolean;
  readonly #waiting = new Set<() => void>();

  private constructor(client: MqttClient, sessionPresent: boolean, early: Received[]) {
    this.mqtt = client;
    this.sessionPresent = sessionPresent;
    this.received = early;
  }

  /** Connects once, without reconnecting; rejects when refused. */
  static async connect(url: string, options: IClientOptions = {}): Promise<TestClient> {
    const client = mqtt.connect(url, { reconnectPeriod: 0, connectTimeout: 5_000, ...options });
    const early: Received[] = [];
    let owner: TestClient | undefined;
    client.on('message', (topic, payload, packet) => {
      const item = {
        topic,
        text: payload.toString(),
        qos: packet.qos,
        retain: packet.retain,
        dup: packet.dup,
      };
      early.push(item);
      owner?.notify();
    });
    const present = await new Promise<boolean>((resolve, reject) => {
      client.once('connect', (packet) => resolve(packet.sessionPresent));
      client.once('error', reject);
      client.once('close', () => reject(new Error('connection closed before CONNACK')));
    });
    client.on('error', () => {});
    owner = new TestClient(client, present, early);
    return owner;
  }

  notify(): void {
    for (const check of [...this.#waiting]) check();
  }

  async subscribe(filter: string | string[], qos: 0 | 1 | 2 = 0): Promise<number[]> {
    const granted = await this.mqtt.subscribeAsync(filter, { qos });
    return granted.map((one) => one.qos);
  }

  async publish(topic: string, text: string, options: { qos?: 0 | 1 | 2; retain?: boolean } = {}) {
    await this.mqtt.publishAsync(topic, text, options);
  }

  /** Resolves with everything received once there are `count`. */
  async expect(count: number, withinMs = 10_000): Promise<Received[]> {
    if (this.received.length < count) {
      await new Promise<void>((resolve, reject) => {
        const guard = setTimeout(() => {
          this.#waiting.delete(check);
          reject(new Error(`received ${this.received.length} of ${count} messages`));
        }, withinMs);
        const check = () => {
          if (this.received.length < count) return;
          clearTimeout(guard);
          this.#waiting.delete(check);
          resolve();
        };
        this.#waiting.add(check);
      });
    }
    return this.received;
  }

  get texts(): string[] {
    return this.received.map((item) => item.text);
  }

  async end(): Promise<void> {
    await this.mqtt.endAsync();
  }

  /** Drops the TCP connection without DISCONNECT. */
  async cut(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.mqtt.once('close', resolve));
    this.mqtt.stream.destroy();
    await closed;
  }

  /** A round trip through the broker: what was sent to this client before has arrived. */
  async roundTrip(): Promise<void> {
    const topic = `round-trip/${Math.random()}`;
    const before = this.received.length;
    await this.subscribe(topic);
    await this.publish(topic, 'ping');
    await this.expect(before + 1);
    const index = this.received.findIndex((item) => item.topic === topic);
    this.received.splice(index, 1);
    await this.mqtt.unsubscribeAsync(topic);
  }
}

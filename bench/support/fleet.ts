/**
 * Publishing devices on one port and subscribing devices on another, and the books of what went
 * between them. The publishers' topics use all lanes alike; each has one subscriber.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { laneCount } from '../../base/limits.ts';
import { laneOf } from '../../base/topic.ts';
import { type LoadQos, PublishFrames, stampBytes } from './frames.ts';
import { type Books, type LoadPath, payloadBytes } from './jobs.ts';
import { RawClient } from './raw-client.ts';

/** Frames of one write. */
const burstMax = 256;

/** Until the path carries a first message of everyone: a bridge may still be connecting. */
const readyMs = 20_000;
const probeMs = 100;

/** A load has drained when nothing has come for so long. */
const silentMs = 3_000;

/** Number of a probe, which is not in the books. */
const probe = 0xffff_ffff;

export interface FleetOptions {
  readonly qos: LoadQos;
  readonly publishers: number;
  readonly subscribers: number;
  readonly keepsSession: boolean;
}

export interface FleetHooks {
  /** A first copy has come; not called for probes and repeats. */
  readonly onReceived?: (publisher: Publisher, number: number) => void;
  /** Something came on one of the connections. */
  readonly onTurn?: () => void;
}

export class Publisher {
  readonly topic: string;
  readonly #frames: PublishFrames;
  readonly #probe: Buffer;
  readonly #missing = new Set<number>();
  client: RawClient | null = null;
  isReached = false;
  sent = 0;
  acked = 0;
  received = 0;
  reordered = 0;
  repeated = 0;
  #expected = 0;

  constructor(index: number, topic: string, qos: LoadQos) {
    this.topic = topic;
    const options = { topic, publisher: index, payloadBytes };
    this.#frames = new PublishFrames({ ...options, qos, countMax: burstMax });
    this.#probe = new PublishFrames({ ...options, qos: 0, countMax: 1 }).make(probe, 1).bytes;
  }

  get lost(): number {
    return this.sent - this.received;
  }

  probe(): void {
    this.client?.send(this.#probe);
  }

  publish(count: number): void {
    for (let left = count; left > 0; ) {
      const burst = this.#frames.make(this.sent, left);
      this.client?.send(burst.bytes);
      this.sent += burst.count;
      left -= burst.count;
    }
  }

  /** False for what was received before. */
  enter(number: number): boolean {
    if (number < this.#expected) {
      if (!this.#missing.delete(number)) {
        this.repeated++;
        return false;
      }
      this.reordered++;
    } else {
      for (let i = this.#expected; i < number; i++) this.#missing.add(i);
      this.#expected = number + 1;
    }
    this.received++;
    return true;
  }
}

export class Fleet {
  readonly publishers: readonly Publisher[];
  readonly #path: LoadPath;
  readonly #options: FleetOptions;
  readonly #hooks: FleetHooks;
  readonly #clients: RawClient[] = [];
  readonly #name = `bench-${process.pid}-${Date.now().toString(36)}`;
  #arrivals = 0;

  private constructor(path: LoadPath, options: FleetOptions, hooks: FleetHooks) {
    this.#path = path;
    this.#options = options;
    this.#hooks = hooks;
    const topics = topicsOf(this.#name, options.publishers);
    this.publishers = topics.map((topic, index) => new Publisher(index, topic, options.qos));
  }

  /** Resolves when a message of every publisher has come through. */
  static async open(path: LoadPath, options: FleetOptions, hooks: FleetHooks): Promise<Fleet> {
    const fleet = new Fleet(path, options, hooks);
    try {
      await fleet.#connect();
      await fleet.#reach();
    } catch (error) {
      await fleet.close();
      throw error;
    }
    return fleet;
  }

  /** Messages received, each once. */
  get received(): number {
    let received = 0;
    for (const publisher of this.publishers) received += publisher.received;
    return received;
  }

  /** The books, once all has come or nothing comes any more. */
  async settle(): Promise<Books> {
    let seen = -1;
    let quietSince = performance.now();
    while (this.#sum((one) => one.lost) > 0 && performance.now() - quietSince < silentMs) {
      await wait(20);
      if (this.#arrivals !== seen) quietSince = performance.now();
      seen = this.#arrivals;
    }
    return {
      sent: this.#sum((one) => one.sent),
      lost: this.#sum((one) => one.lost),
      reordered: this.#sum((one) => one.reordered),
      repeated: this.#sum((one) => one.repeated),
    };
  }

  /** Kept sessions are wiped, so that the next load does not pay for their queues. */
  async close(): Promise<void> {
    await Promise.all(this.#clients.splice(0).map((client) => client.close()));
    if (!this.#options.keepsSession) return;
    for (let i = 0; i < this.#options.subscribers; i++) {
      const session = { clientId: this.#subscriberId(i), cleanSession: true };
      await (await RawClient.open(this.#path.subscribePort, session)).close();
    }
  }

  async #connect(): Promise<void> {
    const { subscribers, qos, keepsSession } = this.#options;
    const share = Math.ceil(this.publishers.length / subscribers);
    for (let i = 0; i < subscribers; i++) {
      const session = { clientId: this.#subscriberId(i), cleanSession: !keepsSession };
      const client = await this.#open(this.#path.subscribePort, session, {
        onPublication: (buffer, at) => this.#take(buffer, at),
      });
      const wanted = this.publishers.slice(i * share, (i + 1) * share);
      const topics = wanted.map((publisher) => publisher.topic);
      await client.subscribe(topics, qos);
    }
    for (const [index, publisher] of this.publishers.entries()) {
      const session = { clientId: `${this.#name}-pub-${index}`, cleanSession: true };
      publisher.client = await this.#open(this.#path.publishPort, session, {
        onAcks: (count) => {
          publisher.acked += count;
        },
      });
    }
  }

  async #open(
    port: number,
    session: { clientId: string; cleanSession: boolean },
    hooks: { onPublication?: (buffer: Buffer, at: number) => void; onAcks?: (n: number) => void },
  ): Promise<RawClient> {
    const onTurn = () => this.#hooks.onTurn?.();
    const client = await RawClient.open(port, session, { ...hooks, onTurn });
    this.#clients.push(client);
    return client;
  }

  async #reach(): Promise<void> {
    const until = performance.now() + readyMs;
    for (;;) {
      const missing = this.publishers.filter((publisher) => !publisher.isReached);
      if (missing.length === 0) return;
      if (performance.now() > until) {
        throw new Error(`No message came through on ${missing.length} topics in ${readyMs} ms.`);
      }
      for (const publisher of missing) publisher.probe();
      await wait(probeMs);
    }
  }

  #take(buffer: Buffer, at: number): void {
    if (buffer.length - at < stampBytes) return;
    const publisher = this.publishers[buffer.readUInt32BE(at)] as Publisher;
    const number = buffer.readUInt32BE(at + 4);
    if (number === probe) {
      publisher.isReached = true;
      return;
    }
    this.#arrivals++;
    if (publisher.enter(number)) this.#hooks.onReceived?.(publisher, number);
  }

  #subscriberId(index: number): string {
    return `${this.#name}-sub-${index}`;
  }

  #sum(of: (publisher: Publisher) => number): number {
    return this.publishers.reduce((sum, publisher) => sum + of(publisher), 0);
  }
}

/** One topic for each publisher, the lanes taken in turn. */
function topicsOf(name: string, count: number): string[] {
  const topics: string[] = [];
  for (let n = 0; topics.length < count; n++) {
    const topic = `${name}/meter-${n}/reading`;
    if (laneOf(topic) === topics.length % laneCount) topics.push(topic);
  }
  return topics;
}

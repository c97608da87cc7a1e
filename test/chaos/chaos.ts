/**
 * Faults drawn by a seed strike a core and two edges under load, one after the other; then the books
 * are checked: what a publisher had acknowledged must have arrived at both edges' kept sessions, in
 * order, and at QoS 2 once. How the books are kept is the test's own.
 */
import mqtt, { type MqttClient } from 'mqtt';
import { type MixedBooks, MixedPublisher, MixedSubscriber } from '../support/mixed-load.ts';
import type { Random } from '../support/random.ts';
import { until } from '../support/until.ts';
import { type Fault, faults } from './faults.ts';
import { World } from './world.ts';

const publishersPerEdge = 2;

/** Everything that is owed after the last fault has this long. */
const settleMsMax = 60_000;

export interface ChaosOptions {
  readonly random: Random;
  readonly faults: number;
  /** Only those whose name contains this. */
  readonly only?: string;
  readonly tell: (line: string) => void;
}

export interface ChaosResult extends MixedBooks {
  readonly acked: number;
  /** At QoS 1, where it is allowed. */
  readonly repeated: number;
  readonly slowestMs: number;
}

export async function runChaos(options: ChaosOptions): Promise<ChaosResult> {
  const { random, tell } = options;
  const world = await World.open(random.fork());
  const probe = await Probe.open(world);
  const subscribers = [
    await MixedSubscriber.open(world.url('edge-a'), 'kept-a'),
    await MixedSubscriber.open(world.url('edge-b'), 'kept-b'),
  ];
  const publishers = (['edge-a', 'edge-b'] as const).flatMap((edge) =>
    Array.from(
      { length: publishersPerEdge },
      (_, i) => new MixedPublisher(world.url(edge), `${edge}-${i}`, random.fork()),
    ),
  );
  try {
    await probe.recovered(0);
    for (const publisher of publishers) publisher.start();
    const slowestMs = await strikeAll(world, probe, options);
    await Promise.all(publishers.map((publisher) => publisher.stop(settleMsMax)));
    const acked = publishers.flatMap((publisher) => [...publisher.acked]);
    tell(`${acked.length} acknowledged, waiting for the rest to arrive`);
    const books = await Promise.all(
      subscribers.map((subscriber) => subscriber.settle(acked, settleMsMax)),
    );
    return {
      acked: acked.length,
      repeated: subscribers.reduce((sum, { repeated }) => sum + repeated, 0),
      slowestMs,
      lost: books.flatMap(({ lost }) => lost),
      doubled: books.flatMap(({ doubled }) => doubled),
      reordered: books.flatMap(({ reordered }) => reordered),
    };
  } finally {
    for (const publisher of publishers) publisher.abandon();
    for (const { client } of subscribers) client.end(true);
    probe.close();
    await world.close();
  }
}

/** The longest time from the beginning of a fault until a message went through again. */
async function strikeAll(world: World, probe: Probe, options: ChaosOptions): Promise<number> {
  const { random, tell, only = '' } = options;
  const possible = faults.filter(({ name }) => name.includes(only));
  if (possible.length === 0) throw new Error(`No fault is called ${only}.`);
  let slowestMs = 0;
  for (let number = 1; number <= options.faults; number++) {
    await new Promise((resolve) => setTimeout(resolve, random.between(100, 1_500)));
    const fault = random.pick<Fault>(possible);
    const from = performance.now();
    await fault.strike(world, random);
    const struckMs = performance.now() - from;
    const backMs = await probe.recovered(from);
    slowestMs = Math.max(slowestMs, backMs);
    const times = `${Math.round(struckMs)} ms, through again after ${Math.round(backMs)} ms`;
    tell(`${number} of ${options.faults}: ${fault.name}, ${times}`);
  }
  await world.linksUp();
  return slowestMs;
}

/** A message every so often from one edge to the other, to see when messages go through. */
class Probe {
  readonly #sender: MqttClient;
  readonly #receiver: MqttClient;
  #newest = 0;

  private constructor(sender: MqttClient, receiver: MqttClient) {
    this.#sender = sender;
    this.#receiver = receiver;
    receiver.on('message', (_topic, payload) => {
      this.#newest = Math.max(this.#newest, Number(payload.toString()));
    });
    for (const client of [sender, receiver]) client.on('error', () => {});
  }

  static async open(world: World): Promise<Probe> {
    const options = { reconnectPeriod: 50, connectTimeout: 5_000, queueQoSZero: false };
    const sender = mqtt.connect(world.url('edge-a'), { ...options, clientId: 'probe-a' });
    const receiver = mqtt.connect(world.url('edge-b'), { ...options, clientId: 'probe-b' });
    const probe = new Probe(sender, receiver);
    await receiver.subscribeAsync('probe', { qos: 0 });
    return probe;
  }

  /** Milliseconds from a moment until a message that was sent after now came through. */
  async recovered(from: number): Promise<number> {
    const sentFrom = performance.now();
    const isThrough = () => {
      if (this.#sender.connected) this.#sender.publish('probe', String(performance.now()));
      return this.#newest >= sentFrom;
    };
    await until(isThrough, 'messages go from edge to edge again', 90_000);
    return performance.now() - from;
  }

  close(): void {
    this.#sender.end(true);
    this.#receiver.end(true);
  }
}

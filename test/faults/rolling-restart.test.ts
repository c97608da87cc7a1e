/**
 * Cores that are restarted in order while two edges exchange QoS 0, 1 and 2: no device notices but by
 * a pause, QoS 1 and 2 arrive, QoS 2 once. First one core alone, then two of which one stands by, each
 * with a log of its own. Longer by `node dist/test/faults/rolling-restart.test.js --rounds 20`;
 * TRUNKLINE_SEED repeats a run.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { attached, corePorts, interested, metric, urlOf } from '../support/fleet.ts';
import { MixedPublisher, MixedSubscriber } from '../support/mixed-load.ts';
import { type RunningProcess, startProcess } from '../support/processes.ts';
import { Random } from '../support/random.ts';
import { until } from '../support/until.ts';

const argument = process.argv.indexOf('--rounds');
const rounds = argument < 0 ? 2 : Number(process.argv[argument + 1]);
const timeout = 60_000 + rounds * 20_000;
const publisherCount = 3;

/** Who talks across the edges, and what they met. */
class Talk {
  readonly publishers: readonly MixedPublisher[];
  readonly subscriber: MixedSubscriber;
  #disconnects = 0;

  private constructor(publishers: readonly MixedPublisher[], subscriber: MixedSubscriber) {
    this.publishers = publishers;
    this.subscriber = subscriber;
    for (const { client } of [...publishers, subscriber]) {
      client.on('close', () => this.#disconnects++);
    }
  }

  static async open(from: string, to: string, random: Random): Promise<Talk> {
    const subscriber = await MixedSubscriber.open(to, 'receiver');
    const publishers = Array.from({ length: publisherCount }, (_, i) => {
      return new MixedPublisher(from, `sender-${i}`, random.fork());
    });
    return new Talk(publishers, subscriber);
  }

  /** Connections that ended. */
  get disconnects(): number {
    return this.#disconnects;
  }

  /** More arrives, of what is published from now on. */
  async flows(): Promise<void> {
    const goal = this.subscriber.count + 100;
    await until(() => this.subscriber.count >= goal, 'messages arrive', 30_000);
  }
}

async function startEdges(cores: readonly RunningProcess[]): Promise<RunningProcess[]> {
  const addresses = cores.map((core) => `127.0.0.1:${core.port('trunk')}`).join(',');
  const flags = ['--edge-cores', addresses, '--edge-probe-seconds', '1'];
  const queues = ['--limits-queue-messages', '200000'];
  const edges: RunningProcess[] = [];
  for (const id of ['edge-a', 'edge-b']) {
    edges.push(await startProcess('edge', { flags: ['--edge-id', id, ...flags, ...queues] }));
  }
  return edges;
}

function startCore(id: string, again?: RunningProcess): Promise<RunningProcess> {
  const flags = ['--core-id', id];
  if (again === undefined) return startProcess('core', { flags });
  const ports = Object.entries(corePorts).flatMap(([name, flag]) => [flag, `${again.port(name)}`]);
  return startProcess('core', { data: again.data, flags: [...flags, ...ports] });
}

/** Runs `restart` so many times under load, and holds the books against each other. */
async function talkThrough(
  t: TestContext,
  edges: readonly RunningProcess[],
  world: { readonly ready: () => Promise<void>; readonly restart: () => Promise<void> },
): Promise<void> {
  const random = Random.fromEnvironment();
  t.diagnostic(`TRUNKLINE_SEED=${random.seed}`);
  const [a, b] = edges as [RunningProcess, RunningProcess];
  const talk = await Talk.open(urlOf(a), urlOf(b), random);
  await world.ready();
  for (const publisher of talk.publishers) publisher.start();
  await talk.flows();
  for (let round = 1; round <= rounds; round++) {
    await world.restart();
    await talk.flows();
  }
  await Promise.all(talk.publishers.map((publisher) => publisher.stop()));
  const acked = talk.publishers.flatMap((publisher) => [...publisher.acked]);
  const { lost, doubled, reordered } = await talk.subscriber.settle(acked);
  // The publishers have ended by themselves.
  const unasked = talk.disconnects - publisherCount;
  const shed = await metric(a, 'trunkline_dropped_total{reason="link-down-qos0"}');
  t.diagnostic(`acked ${acked.length}, seen ${talk.subscriber.count}, QoS 0 shed ${shed}`);
  await talk.subscriber.end();
  assert.deepEqual(
    { unasked, lost, doubled, reordered },
    { unasked: 0, lost: [], doubled: [], reordered: [] },
  );
}

test('one core is restarted in order under load: no device is disconnected, nothing is lost', {
  timeout,
}, async (t) => {
  let core = await startCore('core-1');
  const edges = await startEdges([core]);
  await talkThrough(t, edges, {
    ready: () => interested(core, 'edge-b', 1),
    restart: async () => {
      const stoppedAt = performance.now();
      assert.deepEqual(await core.stop(), { code: 0, signal: null });
      // Nobody has anywhere to go, so nobody is waited for.
      assert.ok(performance.now() - stoppedAt < 4_000, 'it stops at once');
      core = await startCore('core-1', core);
      const readyAt = performance.now();
      await attached(core, 2);
      const backMs = Math.round(performance.now() - readyAt);
      t.diagnostic(`edges are back ${backMs} ms after the core is`);
    },
  });
});

/** The core at which both edges are. A busy machine may have sent one to the other core meanwhile;
 * those of alike cores come together again. */
async function together(cores: readonly RunningProcess[]): Promise<number> {
  let found = -1;
  await until(
    async () => {
      const counts = await Promise.all(cores.map((core) => metric(core, 'trunkline_edges')));
      found = counts.indexOf(2);
      return found >= 0;
    },
    'both edges are at one core',
    40_000,
  );
  return found;
}

test('a core that stops sends its edges to the one that stands by, and nothing is lost', {
  timeout,
}, async (t) => {
  const cores = [await startCore('core-1'), await startCore('core-2')];
  const edges = await startEdges(cores);
  await talkThrough(t, edges, {
    ready: async () => {
      const active = await together(cores);
      await interested(cores[active] as RunningProcess, 'edge-b', 1);
    },
    restart: async () => {
      const active = await together(cores);
      const stopped = cores[active] as RunningProcess;
      const other = cores[1 - active] as RunningProcess;
      const stoppedAt = performance.now();
      const exit = stopped.stop();
      await attached(other, 2);
      const movedMs = Math.round(performance.now() - stoppedAt);
      assert.deepEqual(await exit, { code: 0, signal: null });
      const stoppedMs = Math.round(performance.now() - stoppedAt);
      t.diagnostic(`edges moved within ${movedMs} ms, the core was gone after ${stoppedMs} ms`);
      // Each edge was told to go; none lost its link.
      for (const edge of edges) assert.equal(await metric(edge, 'trunkline_links_lost_total'), 0);
      cores[active] = await startCore(`core-${active + 1}`, stopped);
      const serving = `trunkline_core_serving{core="127.0.0.1:${stopped.port('trunk')}"}`;
      for (const edge of edges) {
        await until(async () => (await metric(edge, serving)) === 1, 'the core is seen again');
      }
    },
  });
});

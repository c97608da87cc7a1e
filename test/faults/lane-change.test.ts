/**
 * An edge that is started again with another count of lanes, under load, while the core is up and
 * while it is down: each topic keeps its order, and nothing is lost or doubled.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { SpooledEdge } from '../support/spooled-edge.ts';
import { TestCore, withFolder } from '../support/trunk-world.ts';
import { until } from '../support/until.ts';

const topics = Array.from({ length: 12 }, (_, i) => `lanes/${i}`);

/** Lanes of each life of the edge, and whether the core is there while it lasts. */
const lives = [
  { lanes: 4, isCoreUp: true },
  { lanes: 1, isCoreUp: true },
  { lanes: 7, isCoreUp: false },
  { lanes: 16, isCoreUp: false },
  { lanes: 3, isCoreUp: true },
  { lanes: 4, isCoreUp: true },
];

/** Rounds of one publication for each topic: enough that the core never has all when a life ends. */
const rounds = 400;

async function load(edge: SpooledEdge, life: number): Promise<void> {
  for (let round = life * rounds; round < (life + 1) * rounds; round++) {
    for (const topic of topics) edge.accept(topic, String(round));
    if (round % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** Closed after the test, also when it failed; twice does no harm. */
const opened: { close(): Promise<void> }[] = [];

after(async () => {
  for (const one of opened.reverse()) await one.close();
});

test('another count of lanes keeps the order of each topic, with the core up and down', async () => {
  await withFolder(async (folder) => {
    const file = join(folder, 'log.db');
    let port = 0;
    let core: TestCore | null = null;
    const openCore = async () => {
      const one = await TestCore.open(file, { port });
      opened.push(one);
      port = one.port;
      return one;
    };
    const openEdge = async (id: string, more: { lanes?: number; filters?: string[] }) => {
      const edge = await SpooledEdge.open({ directory: join(folder, id), id, port, ...more });
      opened.push(edge);
      return edge;
    };
    core = await openCore();
    const taker = await openEdge('taker', { filters: ['lanes/#'] });
    await taker.bridge.onceConnected();
    for (const [life, { isCoreUp, lanes }] of lives.entries()) {
      if (!isCoreUp) await core?.close();
      core = isCoreUp ? (core ?? (await openCore())) : null;
      const edge = await openEdge('edge', { lanes });
      await load(edge, life);
      if (life === lives.length - 1) {
        const all = lives.length * rounds * topics.length;
        await until(() => taker.count >= all, 'everything came').catch(() => {});
      }
      await edge.close();
    }
    const expected = Array.from({ length: lives.length * rounds }, (_, i) => String(i));
    for (const topic of topics) assert.deepEqual(taker.received.get(topic), expected, topic);
  });
});

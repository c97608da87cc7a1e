/**
 * Links cut at random bytes: some edges send numbered publications through proxies that cut every
 * connection, one more edge takes them all, through such a proxy too. Answers what the log and the
 * taker have in the end.
 */
import { join } from 'node:path';
import { laneCount } from '../../base/limits.ts';
import { type CuttingProxy, startCuttingProxy } from './cutting-proxy.ts';
import type { Random } from './random.ts';
import { SpooledEdge } from './spooled-edge.ts';
import { TestCore } from './trunk-world.ts';
import { until } from './until.ts';

const senders = 4;
const topics = 8;
const prefix = 'bytes';

/** Bytes that a connection lives for: from within its first frames to many batches. */
const bytesRange = [200, 200_000] as const;

export interface ByteCutsOptions {
  readonly folder: string;
  readonly cuts: number;
  readonly random: Random;
  readonly withinMs: number;
}

export interface ByteCutsBooks {
  readonly cuts: number;
  readonly accepted: number;
  /** By topic, as the taker got them, and as they lie in the core's log. */
  readonly delivered: ReadonlyMap<string, readonly string[]>;
  readonly logged: ReadonlyMap<string, readonly string[]>;
  readonly expected: ReadonlyMap<string, readonly string[]>;
}

export async function runByteCuts(options: ByteCutsOptions): Promise<ByteCutsBooks> {
  const { cuts, folder, random, withinMs } = options;
  const core = await TestCore.open(join(folder, 'log.db'));
  const proxies: CuttingProxy[] = [];
  const edges: SpooledEdge[] = [];
  try {
    const [least, most] = bytesRange;
    const bytesOfNext = () => Math.floor(least * (most / least) ** random.next());
    for (let at = 0; at <= senders; at++) {
      const proxy = await startCuttingProxy(core.port, bytesOfNext);
      proxies.push(proxy);
      const filters = at === senders ? [`${prefix}/#`] : [];
      const directory = join(folder, `edge-${at}`);
      const edge = { directory, id: `edge-${at}`, port: proxy.port, filters };
      edges.push(await SpooledEdge.open(edge));
    }
    const taker = edges[senders] as SpooledEdge;
    await until(
      () => core.sink.events.some((event) => event === `interest edge-${senders} 1`),
      'interest',
    );
    const cutsMade = () => proxies.reduce((sum, proxy) => sum + proxy.cuts, 0);
    const expected = await publishUntil(
      edges.slice(0, senders),
      () => cutsMade() >= cuts,
      withinMs,
    );
    for (const proxy of proxies) proxy.rest();
    const accepted = [...expected.values()].reduce((sum, texts) => sum + texts.length, 0);
    await until(() => taker.count >= accepted, 'all is delivered', 30_000).catch(() => {});
    const logged = await readLog(core);
    return { cuts: cutsMade(), accepted, delivered: taker.received, logged, expected };
  } finally {
    for (const edge of edges) await edge.close();
    for (const proxy of proxies) proxy.close();
    await core.close();
  }
}

async function publishUntil(
  edges: readonly SpooledEdge[],
  isDone: () => boolean,
  withinMs: number,
): Promise<Map<string, string[]>> {
  const expected = new Map<string, string[]>();
  const end = performance.now() + withinMs;
  for (let round = 0; !isDone(); round++) {
    if (performance.now() > end) throw new Error(`the cuts took longer than ${withinMs} ms`);
    for (const [at, edge] of edges.entries()) {
      for (let t = 0; t < topics; t++) {
        const topic = `${prefix}/${at}-${t}`;
        const text = String(round).padEnd(40, '.');
        edge.accept(topic, text);
        const texts = expected.get(topic);
        if (texts === undefined) expected.set(topic, [text]);
        else texts.push(text);
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return expected;
}

async function readLog(core: TestCore): Promise<Map<string, string[]>> {
  const logged = new Map<string, string[]>();
  for (let lane = 0; lane < laneCount; lane++) {
    let position = 0;
    while (position < core.backplane.head(lane)) {
      for (const batch of await core.backplane.read(lane, { position, bytesMax: 1e6 })) {
        position = batch.through;
        for (const { topic, payload } of batch.publications) {
          const texts = logged.get(topic) ?? [];
          texts.push(payload.toString());
          logged.set(topic, texts);
        }
      }
    }
  }
  return logged;
}

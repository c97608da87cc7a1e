/**
 * The books of the trunk, as docs/operating.md has them: after a load of every QoS between two edges,
 * whose links were cut again and again and whose core was killed, each equation holds to the last
 * message. The cuts come from a seed that the test tells.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { attached, interested, urlOf } from '../support/fleet.ts';
import { LoadPublisher, LoadSubscriber } from '../support/load.ts';
import { MetricsText } from '../support/metrics-text.ts';
import { type RunningProcess, startProcess } from '../support/processes.ts';
import { startProxy, type TcpProxy } from '../support/proxy.ts';
import { Random } from '../support/random.ts';
import { until } from '../support/until.ts';

const cutsMax = 12;
const seed = 20_261_123;
const edgeIds = ['edge-a', 'edge-b'] as const;

let core: RunningProcess;
const edges: RunningProcess[] = [];
const proxies: TcpProxy[] = [];
const clients: { end(force: boolean): unknown }[] = [];

before(async () => {
  core = await startProcess('core');
  for (const id of edgeIds) {
    const proxy = await startProxy(core.port('trunk'));
    proxies.push(proxy);
    const flags = ['--edge-id', id, '--edge-cores', `127.0.0.1:${proxy.port}`];
    edges.push(await startProcess('edge', { flags: [...flags, '--trunk-canary-seconds', '1'] }));
  }
  await attached(core, 2);
});

after(async () => {
  for (const client of clients) client.end(true);
  await Promise.all([...edges, core].map((one) => one.kill()));
  for (const proxy of proxies) proxy.close();
});

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

interface Books {
  readonly core: MetricsText;
  readonly edges: readonly MetricsText[];
}

async function booksOf(): Promise<Books> {
  const [coreText, ...edgeTexts] = await Promise.all([core, ...edges].map(MetricsText.of));
  return { core: coreText as MetricsText, edges: edgeTexts };
}

/** Spooled and withdrawn is acknowledged or backlog. */
function checkUp(edge: MetricsText): void {
  for (const lane of edge.valuesOf('trunkline_trunk_backlog', 'lane')) {
    const of = (what: string) => edge.sum(`trunkline_trunk_${what}`, { lane });
    const entered = of('spooled_total') + of('withdrawn_total');
    assert.equal(entered, of('acknowledged_total') + of('backlog'), `up, lane ${lane}`);
  }
}

/** Received is delivered, a repeat, a canary, or discarded with its link. */
function checkDown(edge: MetricsText): void {
  for (const lane of edge.valuesOf('trunkline_trunk_down_received_total', 'lane')) {
    const of = (what: string) => edge.sum(`trunkline_trunk_down_${what}_total`, { lane });
    const left = of('delivered') + of('repeats') + of('canaries') + of('discarded');
    assert.equal(of('received'), left, `down, lane ${lane}`);
  }
}

/** Received is logged, a repeat, or refused; and what an edge counts as acknowledged was logged. */
function checkCore(books: Books): void {
  for (const [index, edge] of edgeIds.entries()) {
    for (const lane of books.core.valuesOf('trunkline_trunk_up_received_total', 'lane')) {
      const of = (what: string) => {
        return books.core.sum(`trunkline_trunk_up_${what}_total`, { edge, lane });
      };
      const left = of('logged') + of('repeated') + of('refused');
      assert.equal(of('received'), left, `core, ${edge}, lane ${lane}`);
      const acknowledged = books.edges[index]?.sum('trunkline_trunk_acknowledged_total', { lane });
      assert.equal(of('logged'), acknowledged, `logged and acknowledged, ${edge}, lane ${lane}`);
    }
  }
}

/** What does not balance. */
function faultsOf(books: Books): string[] {
  const checks = [
    ...books.edges.flatMap((edge) => [() => checkUp(edge), () => checkDown(edge)]),
    () => checkCore(books),
  ];
  return checks.flatMap((check) => {
    try {
      check();
      return [];
    } catch (error) {
      return [String(error)];
    }
  });
}

/** Looked at until nothing is on its way: a canary may be, and is in some of the books only then. */
async function atRest(): Promise<Books> {
  let books = await booksOf();
  await until(async () => {
    books = await booksOf();
    const isEmpty = books.edges.every((edge) => edge.sum('trunkline_trunk_backlog') === 0);
    return isEmpty && faultsOf(books).length === 0;
  }, 'the books balance').catch(() => {});
  assert.deepEqual(faultsOf(books), []);
  return books;
}

test('after cut links the books of the trunk balance, for each edge, lane and reason', async (t) => {
  const [a, b] = edges as [RunningProcess, RunningProcess];
  const subscription = { filter: 'books/#', qos: 2 as const };
  const subscriber = await LoadSubscriber.open(urlOf(b), 'reader', subscription);
  await interested(core, 'edge-b', 1);
  const publishers = ([1, 2] as const).map((qos) => {
    const publisher = new LoadPublisher(urlOf(a), `writer-${qos}`);
    publisher.start(`books/${qos}`, qos);
    return publisher;
  });
  clients.push(subscriber.client, ...publishers.map(({ client }) => client));
  const random = new Random(seed);
  for (let cut = 0; cut < cutsMax; cut++) {
    await pause(40 + random.next() * 200);
    for (const { client } of publishers) client.publish('books/0', String(cut), { qos: 0 });
    const proxy = proxies[random.next() < 0.5 ? 0 : 1];
    // What the core says is lost for a while: then what it has comes again.
    if (random.next() < 0.5) proxy?.deafen('clients');
    await pause(30);
    proxy?.cut();
  }
  await Promise.all(publishers.map((publisher) => publisher.ackedMore(100)));
  for (const publisher of publishers) await publisher.stop();
  await attached(core, 2);
  const books = await atRest();
  const repeated = books.core.sum('trunkline_trunk_up_repeated_total');
  const logged = books.core.sum('trunkline_trunk_up_logged_total', { edge: 'edge-a' });
  const canaries = books.edges.map((edge) => edge.sum('trunkline_trunk_down_canaries_total'));
  t.diagnostic(`seed ${seed}: logged ${logged}, repeated ${repeated}, canaries ${canaries}`);
  assert.ok(logged > 200);
  assert.ok(canaries.every((count) => count > 0));
  // The devices' own books know nothing of canaries.
  const uplinked = books.core.sum('trunkline_uplinked_total');
  const sent = books.edges.map((edge) => edge.sum('trunkline_canaries_sent_total'));
  const all = books.core.sum('trunkline_trunk_up_logged_total');
  assert.ok(uplinked >= all - (sent[0] ?? 0) - (sent[1] ?? 0));
});

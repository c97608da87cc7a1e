/**
 * What finding subscribers and retained messages costs with a million of them: memory, and the time
 * of each step, without sockets or disk. Prints the tables of docs/benchmarks.md, "Routing".
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { LevelTree } from '../base/level-tree.ts';
import { TopicIndex } from '../base/topic-index.ts';

const filterCount = Number(process.argv[2] ?? 1_000_000);
const sessionCount = filterCount / 10;
const sampleCount = 100_000;
const hotTopics = 10_000;
const stepNodes = 500;

setFlagsFromString('--expose_gc');
const collectGarbage = runInNewContext('gc') as () => void;

interface Mix {
  readonly name: string;
  filter(i: number): string;
  topic(i: number): string;
}

const device = (i: number) => `fleet/device-${i}`;
const exact = (i: number) => `${device(i)}/command`;
const plus = (i: number) => `${device(i)}/+/status`;
const hash = (i: number) => `${device(i)}/#`;
const alarm = (i: number) => `alarm-${Math.floor(i / 1_000)}`;
const anyDevice = (i: number) => `fleet/+/${alarm(i)}`;

const mixes: readonly Mix[] = [
  { name: 'exact', filter: exact, topic: exact },
  { name: '`+` inside', filter: plus, topic: (i) => `${device(i)}/pump/status` },
  { name: '`#` at the end', filter: hash, topic: exact },
  {
    name: '7 exact, 2 `#`, 1 `+`',
    filter: (i) => (i % 10 < 7 ? exact : i % 10 < 9 ? hash : plus)(i),
    topic: (i) => (i % 10 < 9 ? exact(i) : `${device(i)}/pump/status`),
  },
  {
    name: '1,000 filters, 1,000 holders each',
    filter: anyDevice,
    topic: (i) => `${device(i)}/${alarm(i)}`,
  },
];

function heapBytes(): number {
  collectGarbage();
  return process.memoryUsage().heapUsed;
}

/** CPU nanoseconds of each of `count` calls, garbage collection included: the machine may have other
 * work. */
function time(count: number, call: (i: number) => void): number {
  const start = process.cpuUsage();
  for (let i = 0; i < count; i++) call(i);
  const { user, system } = process.cpuUsage(start);
  return ((user + system) / count) * 1e3;
}

function measureMix(mix: Mix): string[] {
  const sessions = Array.from({ length: sessionCount }, (_, id) => ({ id }));
  const filters = Array.from({ length: filterCount }, (_, i) => mix.filter(i));
  const detail = { qos: 1 };
  const index = new TopicIndex<{ id: number }, { qos: number }>();
  const before = heapBytes();
  const at = (i: number) => sessions[i % sessionCount] as { id: number };
  const add = time(filterCount, (i) => index.add(filters[i] as string, at(i), detail));
  const bytes = (heapBytes() - before) / index.size;
  const stride = Math.floor(filterCount / sampleCount);
  const topics = Array.from({ length: sampleCount }, (_, i) => mix.topic(i * stride));
  const cold = time(sampleCount, (i) => index.match(topics[i] as string));
  const warm = time(sampleCount, (i) => index.match(topics[i % hotTopics] as string));
  const churn = measureChurn(index, topics);
  const remove = time(filterCount, (i) => index.remove(filters[i] as string, at(i)));
  const ns = (value: number) => value.toFixed(0);
  return [mix.name, ns(bytes), ns(add), ns(cold), ns(warm), ns(churn), ns(remove)];
}

/** Nanoseconds for a match while wildcard subscriptions come and go, one for each 100 matches. */
function measureChurn(
  index: TopicIndex<{ id: number }, { qos: number }>,
  topics: readonly string[],
): number {
  const visitor = { id: -1 };
  return time(sampleCount, (i) => {
    index.match(topics[(i * 7) % hotTopics] as string);
    if (i % 200 === 0) index.add(`visitor/${i}/#`, visitor, { qos: 0 });
    if (i % 200 === 100) index.remove(`visitor/${i - 100}/#`, visitor);
  });
}

function measureRetained(count: number): string[] {
  const tree = new LevelTree<{ topic: string }>();
  const values = Array.from({ length: count }, (_, i) => ({
    topic: `fleet/device-${i >> 2}/channel-${i & 3}/reading`,
  }));
  const before = heapBytes();
  const set = time(count, (i) => {
    const value = values[i] as { topic: string };
    tree.set(value.topic, value);
  });
  const bytes = (heapBytes() - before) / count;
  const get = time(sampleCount, (i) => {
    tree.get((values[(i * 31) % count] as { topic: string }).topic);
  });
  const wide = measureWalk(tree, '#');
  const none = measureWalk(tree, 'fleet/+/+/nothing');
  return [
    count.toLocaleString('en'),
    bytes.toFixed(0),
    set.toFixed(0),
    get.toFixed(0),
    wide.total.toFixed(0),
    wide.longest.toFixed(2),
    none.total.toFixed(0),
    none.longest.toFixed(2),
  ];
}

/** CPU milliseconds of a walk, and of its longest step, after which others get their turn. */
function measureWalk(
  tree: LevelTree<{ topic: string }>,
  filter: string,
): { total: number; longest: number } {
  let longest = 0;
  let total = 0;
  let before = process.cpuUsage();
  for (const _ of tree.walk(filter, stepNodes)) {
    const { user, system } = process.cpuUsage(before);
    before = process.cpuUsage();
    const ms = (user + system) / 1e3;
    longest = Math.max(longest, ms);
    total += ms;
  }
  return { total, longest };
}

function print(head: readonly string[], rows: readonly (readonly string[])[]): void {
  const line = (cells: readonly string[]) => process.stdout.write(`| ${cells.join(' | ')} |\n`);
  line(head);
  line(head.map((_, column) => (column === 0 ? '---' : '--:')));
  for (const row of rows) line(row);
  process.stdout.write('\n');
}

process.stdout.write(`${filterCount} filters of ${sessionCount} sessions\n\n`);
const mixHead = ['filters', 'bytes each', 'add, ns', 'match, ns'];
print(
  [...mixHead, 'match again, ns', 'match under churn, ns', 'remove, ns'],
  mixes.map(measureMix),
);
const treeHead = ['retained topics', 'bytes each', 'set, ns', 'get, ns', '`#`, ms'];
print(
  [...treeHead, 'its longest step, ms', 'no match, ms', 'its longest step, ms'],
  [100_000, 1_000_000].map(measureRetained),
);

/**
 * Cores tell each other of sessions over a way that loses messages at random, while edges come, go and
 * move and cores die: when it is quiet again, all indexes are the same, and call themselves whole.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PeerCores } from '../../core/backplane/backplane.ts';
import { factsBytesMax, fitted, sessionBytes } from '../../core/peers/facts-size.ts';
import { SharedSessions } from '../../core/peers/shared-sessions.ts';
import { SessionIndex } from '../../core/sessions/session-index.ts';
import { HandClock, quietParts, session } from '../support/front.ts';
import { Random } from '../support/random.ts';

type Listener = (body: Uint8Array) => void;

/** Hands on what is told, at once and in order; or loses it. */
class Way {
  readonly #listeners = new Map<string, Map<string, Listener>>();
  /** What each core lets out and in. */
  readonly cut = new Set<string>();
  loses: () => boolean = () => false;
  messages = 0;
  bytesMost = 0;

  peersOf(node: string): PeerCores {
    return {
      node,
      channel: (name, listener) => {
        const all = this.#listeners.get(name) ?? new Map<string, Listener>();
        this.#listeners.set(name, all.set(node, listener));
        const tell = (to: string, body: Uint8Array) => {
          if (this.cut.has(node)) return false;
          this.messages++;
          this.bytesMost = Math.max(this.bytesMost, body.length);
          if (to !== node && !this.cut.has(to) && !this.loses()) all.get(to)?.(body);
          return true;
        };
        return {
          tell,
          tellAll: (body) => {
            for (const to of all.keys()) tell(to, body);
            return true;
          },
        };
      },
      announce: () => {},
      send: () => {},
      onPublications: () => {},
      onWanted: () => {},
    };
  }

  forget(node: string): void {
    for (const listeners of this.#listeners.values()) listeners.delete(node);
  }
}

class World {
  readonly clock = new HandClock();
  readonly way = new Way();
  readonly cores = new Map<string, { index: SessionIndex; sink: SharedSessions; node: string }>();
  #runs = 0;

  open(coreId: string) {
    const node = `run-${++this.#runs}`;
    const parts = { ...quietParts(), clock: this.clock };
    const index = new SessionIndex(parts);
    const peers = this.way.peersOf(node);
    const sink = new SharedSessions({ ...parts, index, peers }, coreId);
    const core = { index, sink, node };
    this.cores.set(coreId, core);
    return core;
  }

  /** As SIGKILL does: nobody is told. */
  async kill(coreId: string): Promise<void> {
    const core = this.cores.get(coreId)!;
    this.way.cut.add(core.node);
    await core.sink.close();
    this.way.forget(core.node);
    this.cores.delete(coreId);
  }

  pass(ms: number): void {
    for (let at = 0; at < ms; at += 10) this.clock.pass(10);
  }

  list(coreId: string): string[] {
    const { index } = this.cores.get(coreId)!;
    const { table } = index;
    const rows = Array.from({ length: table.rowEnd }, (_, row) => row);
    const live = rows.filter((row) => table.live.get(row) === 1).map((row) => table.read(row));
    return live.map((one) => `${one.clientId} at ${one.edgeId} in ${one.region}`);
  }

  silent(coreId: string): string[] {
    return this.cores.get(coreId)!.index.silentEdges();
  }
}

/** An edge: the sessions that it has, and the core that it is attached to. */
class TestEdge {
  readonly sessions = new Set<string>();
  at: string | null = null;
  readonly id: string;
  readonly #world: World;

  constructor(world: World, id: string) {
    this.#world = world;
    this.id = id;
  }

  get #sink(): SharedSessions | null {
    return this.#world.cores.get(this.at ?? '')?.sink ?? null;
  }

  attach(coreId: string): void {
    const before = this.#sink;
    this.at = coreId;
    const sink = this.#sink!;
    sink.edgeAttached({ edgeId: this.id, region: 'north', softwareVersion: '1' });
    sink.snapshotBegin(this.id);
    sink.upsert(
      this.id,
      [...this.sessions].map((id) => session(id)),
    );
    sink.snapshotEnd(this.id);
    before?.edgeDetached(this.id);
  }

  detach(): void {
    this.#sink?.edgeDetached(this.id);
    this.at = null;
  }

  add(clientId: string): void {
    this.sessions.add(clientId);
    this.#sink?.upsert(this.id, [session(clientId)]);
  }

  remove(clientId: string): void {
    this.sessions.delete(clientId);
    this.#sink?.remove(this.id, [clientId]);
  }
}

/** One of the things that happen. */
async function happen(world: World, edges: readonly TestEdge[], random: Random): Promise<void> {
  const edge = random.pick(edges);
  const ids = [...world.cores.keys()];
  const dice = random.below(100);
  if (dice < 50) edge.add(`${edge.id}-${random.below(40)}`);
  else if (dice < 80) edge.remove(`${edge.id}-${random.below(40)}`);
  else if (dice < 90) edge.attach(random.pick(ids));
  else if (dice < 94) edge.detach();
  else if (dice < 96) {
    const victim = random.pick(ids);
    await world.kill(victim);
    for (const one of edges) if (one.at === victim) one.at = null;
    world.open(victim);
  } else {
    const { node } = world.cores.get(random.pick(ids))!;
    if (!world.way.cut.delete(node)) world.way.cut.add(node);
  }
}

/** Answers what all cores should show in the end. */
async function lived(world: World, edges: readonly TestEdge[], random: Random): Promise<string[]> {
  for (const edge of edges) edge.attach(random.pick([...world.cores.keys()]));
  world.way.loses = () => random.chance(0.05);
  for (let i = 0; i < 400; i++) {
    await happen(world, edges, random);
    if (random.chance(0.3)) world.pass(random.pick([10, 60, 300, 2_000]));
  }
  world.way.loses = () => false;
  for (const { node } of world.cores.values()) world.way.cut.delete(node);
  for (const edge of edges) if (edge.at === null) edge.attach('core-1');
  world.pass(20_000);
  const told = (edge: TestEdge) => [...edge.sessions].map((id) => `${id} at ${edge.id} in north`);
  return edges.flatMap(told).sort();
}

test('after losses, moves, partitions and deaths all cores have the same list, and it is right', async (t) => {
  const { seed } = Random.fromEnvironment();
  for (let round = 0; round < 12; round++) {
    const random = new Random(seed + round);
    const world = new World();
    for (const id of ['core-1', 'core-2', 'core-3']) world.open(id);
    const edges = Array.from({ length: 6 }, (_, i) => new TestEdge(world, `edge-${i}`));
    const expected = await lived(world, edges, random);
    for (const id of world.cores.keys()) {
      assert.deepEqual(world.list(id).sort(), expected, `${id}, seed ${random.seed}`);
      assert.deepEqual(world.silent(id), [], `${id}, seed ${random.seed}`);
    }
    for (const { sink } of world.cores.values()) await sink.close();
    t.diagnostic(`${expected.length} sessions, ${world.way.messages} messages`);
  }
});

test('a core that joins is not whole until it has all, in parts of bounded size', () => {
  const world = new World();
  world.open('core-1');
  const edge = new TestEdge(world, 'edge-1');
  edge.attach('core-1');
  for (let i = 0; i < 3_000; i++) edge.add(`device-${i}`);
  world.pass(2_000);
  world.open('core-2');
  world.way.bytesMost = 0;
  world.pass(1_010);
  assert.deepEqual(world.silent('core-2'), ['core:core-1']);
  world.pass(30);
  assert.ok(world.list('core-2').length < 3_000);
  world.pass(2_000);
  assert.equal(world.list('core-2').length, 3_000);
  assert.deepEqual(world.silent('core-2'), []);
  assert.ok(world.way.bytesMost <= factsBytesMax);
});

test('what devices behind gateways of a dead core were is listed as unsure, and forgotten in the end', async () => {
  const world = new World();
  const { sink } = world.open('core-1');
  world.open('core-2');
  sink.upsert('core:core-1', [session('tag-1', { edgeId: 'core-1' })]);
  world.pass(2_000);
  assert.deepEqual(world.list('core-2'), ['tag-1 at core-1 in ']);
  await world.kill('core-1');
  world.pass(6_000);
  assert.deepEqual(world.silent('core-2'), ['core:core-1']);
  world.clock.pass(600_000);
  assert.deepEqual(world.list('core-2'), []);
  assert.deepEqual(world.silent('core-2'), []);
});

test('a session with more filters than a message takes is told with fewer of them', () => {
  const subscriptions = Array.from({ length: 100 }, (_, i) => ({
    filter: `${i}/${'x'.repeat(30_000)}`,
    qos: 1,
  }));
  const large = session('large', { subscriptions, subscriptionCount: 100 } as never);
  const told = fitted(large);
  assert.ok(sessionBytes(told) <= factsBytesMax);
  assert.ok(told.subscriptions.length > 0 && told.subscriptions.length < 100);
  assert.equal(told.subscriptionCount, 100);
});

/**
 * What the trunk refuses, and that the core lives on: wrong tokens, unknown lanes, batches that
 * can't be taken apart, gaps, silence, and a second edge of the same name.
 */
import assert from 'node:assert/strict';
import { createServer as createTcpServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  type ClientDuplexStream,
  credentials,
  Metadata,
  ServerCredentials,
  status,
} from '@grpc/grpc-js';
import { laneOf } from '../../base/topic.ts';
import { createServer } from '../../core/grpc/server.ts';
import {
  type ControlRequest,
  type ControlResponse,
  type LaneRequest,
  type LaneResponse,
  TrunkServiceClient,
  TrunkServiceService,
} from '../../proto/gen/trunkline/v1/trunk.ts';
import { TopicEncoder } from '../../proto/wire.ts';
import { startProxy } from '../support/proxy.ts';
import { publication, TestCore, TestEdge, withFolder } from '../support/trunk-world.ts';
import { until } from '../support/until.ts';

interface RawStream<Request, Response> {
  readonly send: (message: Request) => void;
  readonly seen: Response[];
  /** The status code that ended it. */
  readonly code: Promise<number>;
}

/** A peer that says what it likes. */
class RawEdge {
  readonly #client: TrunkServiceClient;
  readonly #metadata = new Metadata();

  constructor(port: number, token = '') {
    this.#client = new TrunkServiceClient(`127.0.0.1:${port}`, credentials.createInsecure());
    if (token !== '') this.#metadata.set('authorization', `Bearer ${token}`);
  }

  control(): RawStream<NonNullable<ControlRequest['message']>, ControlResponse> {
    const call = this.#client.control(this.#metadata);
    return rawStream(call, (message) => call.write({ message }));
  }

  lane(): RawStream<NonNullable<LaneRequest['message']>, LaneResponse> {
    const call = this.#client.lane(this.#metadata);
    return rawStream(call, (message) => call.write({ message }));
  }

  /** Says hello and waits for the welcome. */
  async attach(edgeId: string, capabilities: readonly string[] = []) {
    const control = this.control();
    const { $case, value } = helloOf(edgeId);
    control.send({ $case, value: { ...value, capabilities: [...capabilities] } });
    await until(() => control.seen[0]?.message?.$case === 'welcome', 'welcome');
    return control;
  }

  /** Opens a lane and waits for the answer. */
  async open(edgeId: string, lane: number) {
    const stream = this.lane();
    stream.send(openOf(edgeId, lane));
    await until(() => stream.seen[0]?.message?.$case === 'opened', 'opened');
    return stream;
  }

  close(): void {
    this.#client.close();
  }
}

function rawStream<Message, Request, Response>(
  call: ClientDuplexStream<Request, Response>,
  send: (message: Message) => void,
): RawStream<Message, Response> {
  const seen: Response[] = [];
  call.on('data', (message: Response) => seen.push(message));
  call.on('error', () => {});
  const code = new Promise<number>((resolve) => call.on('status', (end) => resolve(end.code)));
  return { send, seen, code };
}

function helloOf(edgeId: string, laneCount = 4) {
  const hello = { edgeId, epoch: 'e1', region: 'r', softwareVersion: 't', capabilities: [] };
  return { $case: 'hello' as const, value: { ...hello, laneCount } };
}

function openOf(edgeId: string, lane: number) {
  const open = { edgeId, epoch: 'e1', lane, oldestSequence: 1, logEpoch: '', position: 0 };
  return { $case: 'open' as const, value: { ...open, creditBytes: 1_000_000, acknowledged: 0 } };
}

function batchOf(firstSequence: number, texts: readonly string[], topic = 't') {
  const items = texts.map((text, i) => ({
    sequence: firstSequence === 0 ? 0 : firstSequence + i,
    publication: publication(topic, text),
  }));
  return { $case: 'batch' as const, value: new TopicEncoder().encode(items, { now: Date.now() }) };
}

async function withCore(
  work: (core: TestCore, raw: RawEdge) => Promise<void>,
  options: { token?: string; heartbeatMs?: number } = {},
): Promise<void> {
  await withFolder(async (folder) => {
    const core = await TestCore.open(join(folder, 'log.db'), options);
    const raw = new RawEdge(core.port, options.token);
    try {
      await work(core, raw);
      // Whatever was refused, the next edge is served.
      const next = await new TestEdge('next', core.port, options).start();
      await next.bridge.close();
    } finally {
      raw.close();
      await core.close();
    }
  });
}

const counted = (core: TestCore, line: string) => core.parts.metrics.text().includes(`${line}\n`);

test('a missing or wrong token is refused on every call', async () => {
  await withCore(
    async (core) => {
      for (const token of ['', 'wrong', 'secre', 'secret2']) {
        const raw = new RawEdge(core.port, token);
        assert.equal(await raw.control().code, status.UNAUTHENTICATED);
        assert.equal(await raw.lane().code, status.UNAUTHENTICATED);
        raw.close();
      }
      assert.deepEqual(core.sink.events, []);
    },
    { token: 'secret' },
  );
});

test('a lane that does not exist, or whose edge said no hello, is refused', async () => {
  await withCore(async (_core, raw) => {
    const stranger = raw.lane();
    stranger.send(openOf('stranger', 0));
    assert.equal(await stranger.code, status.FAILED_PRECONDITION);
    const control = await raw.attach('raw');
    const ninth = raw.lane();
    ninth.send(openOf('raw', 9));
    assert.equal(await ninth.code, status.INVALID_ARGUMENT);
    const unopened = raw.lane();
    unopened.send(batchOf(1, ['x']));
    assert.equal(await unopened.code, status.INVALID_ARGUMENT);
    control.send(helloOf('raw'));
    assert.equal(await control.code, status.INVALID_ARGUMENT);
  });
});

test('a hello that names too many lanes, none, or no edge is refused', async () => {
  await withCore(async (core, raw) => {
    await raw.attach('raw');
    for (const hello of [helloOf('raw', 19), helloOf('raw', 0), helloOf('bad id'), helloOf('')]) {
      const control = raw.control();
      control.send(hello);
      assert.equal(await control.code, status.INVALID_ARGUMENT);
    }
    const early = raw.control();
    early.send({ $case: 'heartbeat', value: { sentAtMs: 1, echoMs: 0 } });
    assert.equal(await early.code, status.INVALID_ARGUMENT);
    // The edge of that name, which was taken, is still there.
    assert.deepEqual(core.sink.events, ['attached raw']);
  });
});

test('QoS 0 that has no lane to go by, or waits on one that ends, is counted', async () => {
  await withCore(async (core, raw) => {
    const control = await raw.attach('raw');
    const snapshot = { version: 1, snapshot: true, added: ['#'], removed: [] };
    control.send({ $case: 'interest', value: snapshot });
    await until(() => core.sink.events.includes('interest raw 1'), 'the interest');
    const live = (count: number) =>
      core.fanout.route(Array.from({ length: count }, () => publication('q', 'x', { qos: 0 })));
    live(3);
    const dropped = () =>
      /trunkline_dropped_total\{reason="link-down-qos0"\} (\d+)/.exec(
        core.parts.metrics.text(),
      )?.[1];
    assert.equal(dropped(), '3');
    const lane = raw.lane();
    const { value } = openOf('raw', laneOf('q'));
    lane.send({ $case: 'open', value: { ...value, creditBytes: 0 } });
    await until(() => lane.seen[0]?.message?.$case === 'opened', 'opened');
    live(4);
    await raw.attach('raw');
    assert.equal(dropped(), '7');
  });
});

test('a batch that cannot be taken apart ends its lane and is counted', async () => {
  await withCore(async (core, raw) => {
    await raw.attach('raw');
    const lane = await raw.open('raw', 0);
    const other = await raw.open('raw', 1);
    const bad = batchOf(1, ['x', 'y']);
    bad.value.lengths.pop();
    lane.send(bad);
    assert.equal(await lane.code, status.INVALID_ARGUMENT);
    assert.ok(counted(core, 'trunkline_batches_refused_total 1'));
    const loud = await raw.open('raw', 0);
    loud.send(batchOf(0, ['QoS 1 without a sequence']));
    assert.equal(await loud.code, status.INVALID_ARGUMENT);
    other.send(batchOf(1, ['fine']));
    await until(() => other.seen.at(-1)?.message?.$case === 'watermark', 'the other lane works');
    assert.equal(core.backplane.head(laneOf('t')), 1);
  });
});

test('repeats are answered with the watermark, a gap ends the lane', async () => {
  await withCore(async (core, raw) => {
    await raw.attach('raw');
    const lane = await raw.open('raw', 2);
    for (const batch of [batchOf(1, ['1', '2']), batchOf(1, ['1', '2']), batchOf(2, ['2', '3'])]) {
      lane.send(batch);
    }
    const watermarks = () =>
      lane.seen.flatMap(({ message }) =>
        message?.$case === 'watermark' ? [message.value.throughSequence] : [],
      );
    await until(() => watermarks().at(-1) === 3, 'the watermark of all three');
    assert.equal(core.backplane.head(laneOf('t')), 3);
    assert.equal(core.parts.ledger.repeats.value, 3);
    const told = watermarks().length;
    lane.send(batchOf(1, ['1', '2']));
    await until(() => watermarks().length > told, 'the watermark of a repeat');
    assert.equal(watermarks().at(-1), 3);
    assert.equal(core.parts.ledger.repeats.value, 5);
    lane.send(batchOf(9, ['9']));
    assert.equal(await lane.code, status.OUT_OF_RANGE);
    assert.ok(counted(core, 'trunkline_lane_gaps_total 1'));
    const again = await raw.open('raw', 2);
    const [first] = again.seen;
    assert.ok(first?.message?.$case === 'opened');
    assert.equal(first.message.value.durableThrough, 3);
  });
});

test('a second edge of the same name takes over, and the first is told so', async () => {
  await withCore(async (core, raw) => {
    const first = await raw.attach('twin');
    const lane = await raw.open('twin', 0);
    const second = await raw.attach('twin');
    assert.equal(await first.code, status.ABORTED);
    assert.equal(await lane.code, status.UNAVAILABLE);
    assert.deepEqual(core.sink.events, ['attached twin', 'detached twin', 'attached twin']);
    assert.ok(counted(core, 'trunkline_edges_replaced_total 1'));
    second.send({ $case: 'heartbeat', value: { sentAtMs: 77, echoMs: 0 } });
    await until(
      () =>
        second.seen.some(
          ({ message }) => message?.$case === 'heartbeat' && message.value.echoMs === 77,
        ),
      'the answer of a heartbeat',
    );
  });
});

test('an interest that is not valid ends the control stream', async () => {
  await withCore(async (_core, raw) => {
    for (const update of [
      { version: 1, snapshot: false, added: ['a'], removed: [] },
      { version: 1, snapshot: true, added: ['a/#/b'], removed: [] },
    ]) {
      const control = await raw.attach('raw');
      control.send({ $case: 'interest', value: update });
      assert.equal(await control.code, status.INVALID_ARGUMENT);
    }
  });
});

test('an edge that falls silent is detached, and one that hears nothing replaces its link', async () => {
  await withCore(
    async (core, raw) => {
      const silent = await raw.attach('silent');
      assert.equal(await silent.code, status.UNAVAILABLE);
      assert.ok(counted(core, 'trunkline_streams_dead_total 1'));
      const proxy = await startProxy(core.port);
      const edge = await new TestEdge('deaf', proxy.port).start();
      try {
        proxy.freeze();
        await until(() => !edge.bridge.isConnected, 'the frozen link is given up');
        assert.ok(edge.parts.metrics.text().includes('trunkline_links_lost_total 1\n'));
      } finally {
        proxy.close();
        await edge.bridge.close();
      }
    },
    { heartbeatMs: 100 },
  );
});

test('an edge that is far behind reads the log on disk, and counts what was trimmed', async () => {
  await withCore(async (core) => {
    const lane = laneOf('bulk');
    const edge = await new TestEdge('slow', core.port).start();
    await edge.want('bulk');
    await edge.bridge.close();
    const text = 'x'.repeat(30_000);
    for (let i = 0; i < 12; i++) {
      const some = Array.from({ length: 50 }, () => publication('bulk', text, { origin: 'core' }));
      await core.fanout.publish(some);
    }
    const half = core.backplane.head(lane) / 2;
    await core.backplane.trim({
      bytesMax: half * 30_000,
      stepBytes: 1e9,
      before: 0,
      readThrough: () => 0,
    });
    const lost = core.backplane.oldest(lane) - 1;
    assert.ok(lost > 0 && core.fanout.tail.find(lane, lost + 1) === undefined);
    const back = new TestEdge('slow', core.port, { spool: edge.spool });
    back.filters.add('bulk');
    await back.start();
    await back.receives(600 - lost);
    assert.deepEqual(
      back.received.map(({ position }) => position),
      Array.from({ length: 600 - lost }, (_, i) => lost + 1 + i),
    );
    assert.ok(counted(core, `trunkline_dropped_total{reason="log-retention"} ${lost}`));
    await back.bridge.close();
  });
});

test('an edge refuses a batch of the core that cannot be taken apart, and connects again', async () => {
  const server = createServer();
  let links = 0;
  server.addService(TrunkServiceService, {
    control: (call: { on: Listen; write: (message: ControlResponse) => void }) => {
      links++;
      call.on('data', () => {});
      const welcome = { coreId: 'c', logEpoch: 'l', softwareVersion: '', capabilities: [] };
      call.write({
        message: {
          $case: 'welcome',
          value: { ...welcome, laneCount: 4, heartbeatMs: 2_000, region: '' },
        },
      });
    },
    lane: (call: { on: Listen; write: (message: LaneResponse) => void }) => {
      call.on('data', ({ message }: LaneRequest) => {
        if (message?.$case !== 'open') return;
        const opened = { durableThrough: 0, logEpoch: 'l', position: 0, creditBytes: 1_000 };
        call.write({ message: { $case: 'opened', value: opened } });
        const bad = batchOf(1, ['x', 'y']);
        bad.value.lengths.pop();
        if (message.value.lane === 3) call.write({ message: bad });
      });
    },
  });
  const port = await new Promise<number>((resolve) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (_error, bound) => {
      resolve(bound);
    });
  });
  const edge = await new TestEdge('edge', port).start();
  await until(() => links > 1, 'a second link');
  assert.equal(edge.received.length, 0);
  assert.match(edge.parts.metrics.text(), /trunkline_frames_refused_total [1-9]/);
  await edge.bridge.close();
  server.forceShutdown();
});

type Listen = (event: 'data', listener: (message: LaneRequest) => void) => unknown;

test('a bridge closes at once while it waits for a core that does not answer', async () => {
  const mute = createTcpServer(() => {});
  await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve));
  const address = mute.address();
  assert.ok(address !== null && typeof address === 'object');
  const edge = new TestEdge('edge', address.port);
  edge.bridge.start(edge);
  assert.equal(await edge.want('a'), false);
  edge.bridge.offer(publication('a', 'nobody asked', { qos: 0 }));
  assert.equal(edge.parts.ledger.droppedCount, 0);
  await edge.bridge.close();
  await edge.bridge.close();
  await new Promise((resolve) => mute.close(resolve));
});

test('an edge is told where publications entered when it knows what to do with it', async () => {
  await withCore(async (core, raw) => {
    const snapshot = { version: 1, snapshot: true, added: ['#'], removed: [] };
    for (const capabilities of [[], ['sources']]) {
      const edgeId = `raw-${capabilities.length}`;
      const control = await raw.attach(edgeId, capabilities);
      control.send({ $case: 'interest', value: snapshot });
      await until(() => core.sink.events.includes(`interest ${edgeId} 1`), 'the interest');
      const lane = await raw.open(edgeId, laneOf('t'));
      const source = { edgeId: 'far', epoch: edgeId, lane: 17, firstSequence: 1 };
      await core.backplane.append([{ lane: null, publications: [publication('t', 'x')], source }]);
      const batches = () =>
        lane.seen.flatMap(({ message }) => (message?.$case === 'batch' ? [message.value] : []));
      await until(() => batches().length === 1, 'it came');
      const [batch] = batches();
      const isTold = capabilities.length > 0;
      const sources = batch?.sources.map(({ epoch, lane }) => ({ epoch, lane }));
      assert.deepEqual(sources, isTold ? [{ epoch: edgeId, lane: 17 }] : []);
      assert.deepEqual(batch?.sourceSequences, isTold ? [1] : []);
    }
  });
});

/** Runs that wait in an outbox beside single messages: order, window, bounds and books, whatever comes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import mqttPacket from 'mqtt-packet';
import { systemClock } from '../../base/clock.ts';
import { configSchema } from '../../base/config-schema.ts';
import { Ledger } from '../../base/ledger.ts';
import { Metrics } from '../../base/metrics.ts';
import type { Publication, Qos } from '../../base/publication.ts';
import { termsOf311 } from '../../broker/connection/connection-port.ts';
import { Outbox } from '../../broker/outbox.ts';
import type { FrameForm } from '../../proto/run.ts';
import { runOfTexts } from '../support/runs.ts';

interface Sent {
  readonly text: string;
  readonly packetId: number;
  readonly qos: number;
}

/** A client that keeps what it is sent until it is told to acknowledge. */
class World {
  readonly ledger = new Ledger(new Metrics());
  readonly outbox: Outbox;
  readonly sent: Sent[] = [];
  readonly open: number[] = [];
  readonly #version: FrameForm;

  constructor(limits: Record<string, unknown>, version: FrameForm = 4) {
    this.#version = version;
    this.outbox = new Outbox(
      {
        clock: systemClock,
        ledger: this.ledger,
        journal: null,
        read: () => Promise.resolve(null),
        onLost: () => assert.fail('nothing is read'),
        onFailure: (error) => assert.fail(String(error)),
      },
      configSchema.parse({ limits }).limits,
    );
    const parser = mqttPacket.parser({ protocolVersion: version });
    parser.on('packet', (packet) => {
      if (packet.cmd === 'pubrel') return;
      assert.ok(packet.cmd === 'publish' && packet.topic === 'a/topic' && !packet.dup);
      const packetId = packet.messageId as number;
      assert.ok(!this.open.includes(packetId));
      this.open.push(packetId);
      this.sent.push({ text: String(packet.payload), packetId, qos: packet.qos });
    });
    this.outbox.attach({
      version,
      terms: termsOf311,
      backlogBytes: 0,
      // A copy: what is written by reference must not change afterwards.
      send: (bytes) => parser.parse(Buffer.from(bytes)),
      sendRange: (buffer, start, end) => parser.parse(Buffer.from(buffer.subarray(start, end))),
    });
  }

  /** Resolves when the outbox has looked at what an earlier connection may have left. */
  async ready(): Promise<this> {
    await new Promise((resolve) => setImmediate(resolve));
    return this;
  }

  get texts(): string[] {
    return this.sent.map(({ text }) => text);
  }

  run(texts: readonly string[], qos: Qos = 1, granted: Qos = 1): void {
    this.outbox.deliverRun(runOfTexts(texts, qos, this.#version), 1, granted);
  }

  single(text: string, retain = false): void {
    const publication: Publication = {
      topic: 'a/topic',
      payload: Buffer.from(text),
      qos: 1,
      retain,
      properties: null,
      acceptedAt: 0,
      origin: '',
    };
    this.outbox.deliver({ sequence: 1, qos: 1, retain, publication, identifiers: [], owner: null });
  }

  acknowledge(count: number): void {
    for (const packetId of this.open.splice(0, count)) {
      assert.ok(this.outbox.acknowledge(packetId));
    }
    this.outbox.pump();
  }
}

const names = (count: number, prefix = '') =>
  Array.from({ length: count }, (_, i) => `${prefix}${i}`);

const step = fc.oneof(
  fc.record({ kind: fc.constant('run' as const), count: fc.integer({ min: 1, max: 30 }) }),
  fc.record({ kind: fc.constant('single' as const), count: fc.constant(1) }),
  fc.record({ kind: fc.constant('retained' as const), count: fc.constant(1) }),
  fc.record({ kind: fc.constant('acknowledge' as const), count: fc.integer({ min: 1, max: 20 }) }),
);

test('runs and single messages leave in order, within the window, each once', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 60 }),
      fc.integer({ min: 1, max: 12 }),
      fc.constantFrom<FrameForm>(4, 5),
      async (steps, inflight, version) => {
        const world = await new World({ inflight }, version).ready();
        const given: string[] = [];
        for (const { kind, count } of steps) {
          const texts = names(count, `${given.length}+`);
          if (kind === 'acknowledge') world.acknowledge(count);
          else given.push(...texts);
          if (kind === 'run') world.run(texts);
          if (kind === 'single' || kind === 'retained') {
            world.single(texts[0] as string, kind === 'retained');
          }
          assert.ok(world.open.length <= inflight);
          assert.equal(world.outbox.queuedCount + world.sent.length, given.length);
          assert.equal(world.outbox.inflightCount, world.open.length);
        }
        while (world.open.length > 0) world.acknowledge(world.open.length);
        assert.deepEqual(world.texts, given);
        assert.equal(world.outbox.sums.deliveredCount, given.length);
        assert.equal(world.ledger.droppedCount, 0);
      },
    ),
    { numRuns: 300 },
  );
});

test('a run for which there is no room waits whole, and leaves by as much as is acknowledged', async () => {
  const world = await new World({ inflight: 3 }).ready();
  world.run(names(8));
  assert.deepEqual([world.texts, world.outbox.queuedCount], [names(3), 5]);
  world.acknowledge(2);
  assert.deepEqual(world.texts, names(5));
  world.acknowledge(3);
  world.acknowledge(3);
  assert.deepEqual(world.texts, names(8));
});

test('a run of QoS 2 waits as well, also where QoS 1 is granted', async () => {
  const world = await new World({ inflight: 2 }).ready();
  world.run(names(3), 2, 2);
  world.run(names(3, 'less '), 2, 1);
  for (let left = 6; left > 0; left--) {
    const packetId = world.open.shift() as number;
    const { qos } = world.sent.find((one) => one.packetId === packetId) as Sent;
    if (qos === 2) {
      assert.ok(world.outbox.receivedAll([packetId]) && world.outbox.complete(packetId));
    } else assert.ok(world.outbox.acknowledge(packetId));
    world.outbox.pump();
    world.sent.splice(0, world.sent.findIndex((one) => one.packetId === packetId) + 1);
  }
  assert.deepEqual([world.outbox.queuedCount, world.outbox.sums.deliveredCount], [0, 6]);
});

test('of a run that does not fit, the first messages that do are kept and the others counted', async () => {
  const world = await new World({ inflight: 1, queue_messages: 4 }).ready();
  world.run(names(3));
  world.run(names(5, 'more '));
  assert.deepEqual([world.outbox.queuedCount, world.ledger.droppedCount], [4, 3]);
  world.single('too late');
  assert.equal(world.ledger.droppedCount, 4);
  while (world.open.length > 0) world.acknowledge(1);
  assert.deepEqual(world.texts, ['0', '1', '2', 'more 0', 'more 1']);
});

test('the bound on bytes counts for runs, but for the first message of an empty queue', async () => {
  const world = await new World({ inflight: 1, queue_bytes: 1_000 }).ready();
  world.run(['', 'x'.repeat(3_000), 'y'.repeat(3_000)]);
  assert.deepEqual([world.outbox.queuedCount, world.ledger.droppedCount], [1, 1]);
  world.run(['z', 'w']);
  assert.deepEqual([world.outbox.queuedCount, world.ledger.droppedCount], [1, 3]);
  world.acknowledge(1);
  world.run(['z', 'v'.repeat(1_000), 'w']);
  assert.deepEqual([world.outbox.queuedCount, world.ledger.droppedCount], [1, 5]);
});

test('where the oldest gives way, it does among runs too', async () => {
  const limits = { inflight: 1, queue_messages: 4, queue_overflow: 'drop-oldest' };
  const world = await new World(limits).ready();
  world.run(names(4));
  world.run(names(3, 'more '));
  while (world.open.length > 0) world.acknowledge(1);
  assert.deepEqual(world.texts, ['0', '3', 'more 0', 'more 1', 'more 2']);
  assert.equal(world.ledger.droppedCount, 2);
});

test('what waits in runs when the session ends is counted', async () => {
  const world = await new World({ inflight: 2 }).ready();
  world.run(names(10));
  world.outbox.detach();
  world.outbox.abandon();
  assert.deepEqual([world.outbox.queuedCount, world.ledger.droppedCount], [0, 10]);
});

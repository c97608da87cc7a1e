/** Runs to sessions that are kept, whose clients come and go: what left in one is sent again in order. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import mqttPacket from 'mqtt-packet';
import { systemClock } from '../../base/clock.ts';
import { configSchema } from '../../base/config-schema.ts';
import { Ledger } from '../../base/ledger.ts';
import { Metrics } from '../../base/metrics.ts';
import type { Publication } from '../../base/publication.ts';
import { termsOf311 } from '../../broker/connection/connection-port.ts';
import { Outbox } from '../../broker/outbox.ts';
import { SessionJournal } from '../../broker/session-journal.ts';
import type { StateStore } from '../../broker/store/state-store.ts';
import { runOfTexts } from '../support/runs.ts';

interface Step {
  readonly kind: 'run' | 'singles' | 'acknowledge' | 'reconnect' | 'away';
  readonly count: number;
  /** Whether what waits for promises runs before the next step. */
  readonly settles: boolean;
}

const names = (count: number, prefix: string) =>
  Array.from({ length: count }, (_, i) => `${prefix}${i}`);

/** A client that comes and goes, whose session is kept: its messages are in a log. */
class KeptWorld {
  readonly log = new Map<number, Publication>();
  readonly given: string[] = [];
  readonly seen: string[] = [];
  readonly open: number[] = [];
  readonly journal: SessionJournal;
  readonly outbox: Outbox;
  #connection = 0;
  /** Places in `given` of what was sent on this connection; what goes again goes first, in order. */
  #sentHere: number[] = [];

  constructor(limits: Record<string, unknown>) {
    const table = { put: () => {}, delete: () => {} };
    const store = { inflight: table, settled: table, received: table, commit: async () => {} };
    const onFailure = (error: unknown) => assert.fail(String(error));
    this.journal = new SessionJournal(
      {
        store: store as unknown as StateStore,
        saveSettled: () => {},
        onSettled: () => {},
        onFailure,
      },
      { clientId: 'c', settledThrough: 0, ahead: new Set() },
    );
    this.outbox = new Outbox(
      {
        clock: systemClock,
        ledger: new Ledger(new Metrics()),
        journal: this.journal,
        read: async (sequence) => this.log.get(sequence) ?? null,
        onLost: (sequence) => assert.fail(`${sequence} is lost`),
        onFailure,
      },
      configSchema.parse({ limits }).limits,
    );
  }

  connect(): void {
    const connection = ++this.#connection;
    this.#sentHere = [];
    const parser = mqttPacket.parser({ protocolVersion: 4 });
    parser.on('packet', (packet) => {
      assert.ok(packet.cmd === 'publish');
      const text = String(packet.payload);
      const place = this.given.indexOf(text);
      const isSeen = this.seen.includes(text);
      // It may also have been about to leave when the connection went.
      assert.ok(packet.dup || !isSeen);
      assert.ok(place > (this.#sentHere.at(-1) ?? -1), 'in order on each connection');
      this.#sentHere.push(place);
      if (!isSeen) this.seen.push(text);
      assert.ok(!this.open.includes(packet.messageId as number));
      this.open.push(packet.messageId as number);
    });
    const write = (bytes: Buffer) => {
      assert.equal(connection, this.#connection, 'nothing goes to a connection that is gone');
      parser.parse(Buffer.from(bytes));
    };
    this.outbox.attach({
      version: 4,
      terms: termsOf311,
      backlogBytes: 0,
      send: write,
      sendRange: (buffer, start, end) => write(buffer.subarray(start, end)),
    });
  }

  disconnect(): void {
    this.#connection++;
    this.open.length = 0;
    this.outbox.detach();
  }

  publish(count: number, isRun: boolean): void {
    const first = this.log.size + 1;
    const texts = names(count, `${first}+`);
    const publications = texts.map(
      (text): Publication => ({
        topic: 'a/topic',
        payload: Buffer.from(text),
        qos: 1,
        retain: false,
        properties: null,
        acceptedAt: 0,
        origin: '',
      }),
    );
    this.given.push(...texts);
    for (const [i, publication] of publications.entries()) this.log.set(first + i, publication);
    if (isRun) {
      this.outbox.deliverRun(runOfTexts(texts), first, 1);
      return;
    }
    for (const [i, publication] of publications.entries()) {
      const sequence = first + i;
      const delivery = { sequence, qos: 1, retain: false, publication, identifiers: [] } as const;
      this.outbox.deliver({ ...delivery, owner: null });
    }
  }

  take({ kind, count, settles }: Step): void {
    if (kind === 'run' || kind === 'singles') this.publish(count, kind === 'run');
    if (kind === 'acknowledge') this.acknowledge(count);
    if (kind === 'reconnect' || kind === 'away') this.disconnect();
    if (kind === 'away') this.publish(count, settles);
    if (kind === 'reconnect' || kind === 'away') this.connect();
  }

  /** Messages that are in some place of the outbox, or were. */
  get known(): number {
    const { queuedCount, inflightCount, sums } = this.outbox;
    return queuedCount + inflightCount + sums.deliveredCount;
  }

  acknowledge(count: number): void {
    for (const packetId of this.open.splice(0, count)) {
      assert.ok(this.outbox.acknowledge(packetId));
    }
    this.outbox.pump();
  }
}

const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom<Step['kind']>(
    'run',
    'run',
    'singles',
    'acknowledge',
    'acknowledge',
    'reconnect',
    'away',
  ),
  count: fc.integer({ min: 1, max: 15 }),
  settles: fc.boolean(),
});

test('a kept session that comes and goes has every message of runs, in order, and settles each', async () => {
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 40 }),
      fc.integer({ min: 1, max: 12 }),
      async (steps, inflight) => {
        const world = new KeptWorld({ inflight });
        world.connect();
        await turn();
        for (const step of steps) {
          world.take(step);
          if (step.settles) await turn();
          assert.ok(world.open.length <= inflight);
          assert.equal(world.known, world.given.length);
        }
        world.disconnect();
        world.connect();
        await turn();
        for (let i = 0; world.outbox.sums.deliveredCount < world.given.length; i++) {
          assert.ok(i < 5_000, 'it gets done');
          world.acknowledge(world.open.length);
          await turn();
        }
        assert.deepEqual(world.seen, world.given);
        assert.equal(world.journal.settledThrough, world.given.length);
        assert.equal(world.journal.lowestOwed, Number.POSITIVE_INFINITY);
      },
    ),
    { numRuns: 300 },
  );
});

test('a kept session that ends while runs wait settles what it does not get', async () => {
  const world = new KeptWorld({ inflight: 2 });
  world.connect();
  await new Promise((resolve) => setImmediate(resolve));
  world.publish(10, true);
  world.outbox.abandon();
  assert.equal(world.journal.lowestOwed, Number.POSITIVE_INFINITY);
  assert.equal(world.outbox.sums.droppedCount, 10);
});

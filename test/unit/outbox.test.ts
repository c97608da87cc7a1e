/** The outbox of a kept session against a log that is slow, fails or has lost a message. */
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { systemClock } from '../../base/clock.ts';
import { configSchema } from '../../base/config-schema.ts';
import { Ledger } from '../../base/ledger.ts';
import { Metrics } from '../../base/metrics.ts';
import type { Publication, Qos } from '../../base/publication.ts';
import { termsOf311 } from '../../broker/connection/connection-port.ts';
import type { Delivery, FrameSink } from '../../broker/delivery.ts';
import { Outbox } from '../../broker/outbox.ts';
import { SessionJournal } from '../../broker/session-journal.ts';
import type { StateStore } from '../../broker/store/state-store.ts';

class Sink implements FrameSink {
  readonly version = 4;
  readonly terms = termsOf311;
  readonly frames: { type: number; dup: boolean; packetId: number; text: string }[] = [];
  backlogBytes = 0;

  sendRange(buffer: Buffer, start: number, end: number): void {
    for (let at = start; at < end; at += 2 + (buffer[at + 1] as number)) {
      this.send(buffer.subarray(at, at + 2 + (buffer[at + 1] as number)));
    }
  }

  send(frame: Buffer): void {
    const type = (frame[0] as number) >> 4;
    const at = type === 3 ? 4 + frame.readUInt16BE(2) : 2;
    const packetId = frame.readUInt16BE(at);
    const dup = ((frame[0] as number) & 8) !== 0;
    this.frames.push({ type, dup, packetId, text: frame.toString('utf8', at + 2) });
  }

  get texts(): string[] {
    return this.frames.map((one) => one.text);
  }
}

const table = { put: () => {}, delete: () => {} };
let read: (sequence: number) => Promise<Publication | null>;
let failures: unknown[];
let lost: number[];
let rows: unknown[];
let metrics: Metrics;
let outbox: Outbox;

beforeEach(() => {
  read = async (sequence) => publication(`${sequence}`);
  failures = [];
  lost = [];
  rows = [];
  metrics = new Metrics();
  const store = {
    inflight: { put: (row: unknown) => rows.push(row), delete: () => {} },
    settled: table,
    received: table,
    commit: async () => {},
  } as unknown as StateStore;
  const journal = new SessionJournal(
    { store, saveSettled: () => {}, onSettled: () => {}, onFailure: (one) => failures.push(one) },
    { clientId: 'c', settledThrough: 0, ahead: new Set() },
  );
  outbox = new Outbox(
    {
      clock: systemClock,
      ledger: new Ledger(metrics),
      journal,
      read: (sequence) => read(sequence),
      onLost: (sequence) => lost.push(sequence),
      onFailure: (error) => failures.push(error),
    },
    configSchema.parse({}).limits,
  );
});

function publication(text: string): Publication {
  return {
    topic: 't',
    payload: Buffer.from(text),
    qos: 2,
    retain: false,
    properties: null,
    acceptedAt: 0,
    origin: '',
  };
}

/** Known by its place in the log alone. */
function owed(sequence: number): Delivery {
  return { sequence, qos: 2, retain: false, publication: null, identifiers: [], owner: null };
}

function delivery(sequence: number, qos: Qos = 1): Delivery {
  return { ...owed(sequence), qos, publication: publication(`${sequence}`) };
}

/** Everything that only waits for promises has run. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

test('a message that cannot be read stays queued, and goes when it is tried again', async () => {
  for (const sequence of [1, 2, 3]) outbox.deliver(delivery(sequence));
  read = () => Promise.reject(new Error('EIO'));
  const sink = new Sink();
  outbox.attach(sink);
  await settled();
  assert.equal(failures.length, 1);
  read = async (sequence) => publication(`${sequence}`);
  outbox.pump();
  await settled();
  assert.deepEqual(sink.texts, ['1', '2', '3']);
});

test('what was in flight goes first, also when it could not be read at once', async () => {
  outbox.restoreInflight(7, owed(1), false);
  outbox.deliver(delivery(2));
  read = () => Promise.reject(new Error('EIO'));
  const sink = new Sink();
  outbox.attach(sink);
  await settled();
  read = async (sequence) => publication(`${sequence}`);
  outbox.deliver(delivery(3));
  await settled();
  assert.deepEqual(sink.texts, ['1', '2', '3']);
  assert.deepEqual([sink.frames[0]?.dup, sink.frames[0]?.packetId], [true, 7]);
});

test('a message that was acknowledged late, before it was sent again, is not sent again', async () => {
  outbox.attach(new Sink());
  await settled();
  outbox.deliver(delivery(1));
  outbox.deliver(delivery(2));
  outbox.detach();
  const sink = new Sink();
  outbox.attach(sink);
  outbox.acknowledge(1);
  await settled();
  assert.deepEqual(
    sink.frames.map(({ text, dup }) => ({ text, dup })),
    [{ text: '2', dup: true }],
  );
});

test('a message that the log has lost is counted and named, and those behind it go on', async () => {
  for (const sequence of [1, 2, 3]) outbox.deliver(delivery(sequence));
  read = async (sequence) => (sequence === 2 ? null : publication(`${sequence}`));
  const sink = new Sink();
  outbox.attach(sink);
  await settled();
  assert.deepEqual([sink.texts, lost], [['1', '3'], [2]]);
  assert.match(metrics.text(), /trunkline_dropped_total\{reason="log-retention"\} 1/);
});

test('a session that ends while its messages are read leaves no handshake behind', async () => {
  for (const sequence of [1, 2]) outbox.deliver(delivery(sequence, 2));
  let answer: (found: Publication) => void = () => {};
  read = () =>
    new Promise((resolve) => {
      answer = resolve;
    });
  outbox.attach(new Sink());
  await settled();
  answer(publication('1'));
  await settled();
  outbox.detach();
  outbox.abandon();
  answer(publication('2'));
  await settled();
  assert.deepEqual([rows, outbox.inflightCount, outbox.sums.droppedCount], [[], 0, 2]);
});

test('what is read for a window is bounded by bytes too', async () => {
  const big = { ...publication('x'), payload: Buffer.alloc(1024 * 1024) };
  read = async () => big;
  for (let sequence = 1; sequence <= 30; sequence++) outbox.deliver(delivery(sequence));
  const sink = new Sink();
  let bytes = 0;
  sink.send = (frame) => {
    bytes += frame.length;
    sink.backlogBytes += frame.length;
  };
  outbox.attach(sink);
  await settled();
  assert.ok(bytes < 6 * 1024 * 1024, `${bytes} bytes at once`);
});

test('a full queue refuses the newest, or drops the oldest where that was chosen', async () => {
  for (const [queue_overflow, expected] of [
    ['refuse-newest', ['1', '2']],
    ['drop-oldest', ['2', '3']],
  ] as const) {
    const ledger = new Ledger(new Metrics());
    const limits = configSchema.parse({ limits: { queue_messages: 2, queue_overflow } }).limits;
    const small = new Outbox(
      {
        ...{ clock: systemClock, ledger, journal: null, read, onFailure: () => {} },
        onLost: (sequence) => lost.push(sequence),
      },
      limits,
    );
    for (const sequence of [1, 2, 3]) small.deliver(delivery(sequence));
    const sink = new Sink();
    small.attach(sink);
    await settled();
    assert.equal(small.sums.droppedCount, 1);
    assert.equal(ledger.droppedCount, 1);
    assert.deepEqual(sink.texts, expected);
  }
});

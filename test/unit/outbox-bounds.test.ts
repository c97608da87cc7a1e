/** The outbox at its bounds: what gives way, what counts, and what a failed read leaves behind. */
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { systemClock } from '../../base/clock.ts';
import { configSchema } from '../../base/config-schema.ts';
import { Ledger } from '../../base/ledger.ts';
import { Metrics } from '../../base/metrics.ts';
import type { Publication } from '../../base/publication.ts';
import { termsOf311 } from '../../broker/connection/connection-port.ts';
import type { Delivery, FrameSink } from '../../broker/delivery.ts';
import { Outbox } from '../../broker/outbox.ts';
import { SessionJournal } from '../../broker/session-journal.ts';
import type { StateStore } from '../../broker/store/state-store.ts';

let ledger: Ledger;
let failures: unknown[];
let read: (sequence: number) => Promise<Publication | null>;

beforeEach(() => {
  ledger = new Ledger(new Metrics());
  failures = [];
  read = async (sequence) => publication(`${sequence}`);
});

function open(limits: Record<string, unknown>, isKept = false): Outbox {
  const table = { put: () => {}, delete: () => {} };
  const store = { inflight: table, settled: table, received: table, commit: async () => {} };
  const journal = new SessionJournal(
    {
      store: store as unknown as StateStore,
      saveSettled: () => {},
      onSettled: () => {},
      onFailure: (error) => failures.push(error),
    },
    { clientId: 'c', settledThrough: 0, ahead: new Set() },
  );
  return new Outbox(
    {
      clock: systemClock,
      ledger,
      journal: isKept ? journal : null,
      read: (sequence) => read(sequence),
      onLost: () => {},
      onFailure: (error) => failures.push(error),
    },
    configSchema.parse({ limits }).limits,
  );
}

/** What it is sent, payload by payload. */
function sinkInto(texts: string[]): FrameSink {
  const send = (frame: Buffer) => {
    texts.push(frame.toString('utf8', 6 + frame.readUInt16BE(2)));
  };
  return {
    version: 4,
    terms: termsOf311,
    backlogBytes: 0,
    send,
    sendRange: (buffer, start, end) => send(buffer.subarray(start, end)),
  };
}

function publication(text: string, properties: Buffer | null = null): Publication {
  const payload = Buffer.from(text);
  return { topic: 't', payload, qos: 1, retain: false, properties, acceptedAt: 0, origin: '' };
}

function delivery(sequence: number, of: Publication | null): Delivery {
  return { sequence, qos: 1, retain: false, publication: of, identifiers: [], owner: null };
}

/** Everything that only waits for promises has run. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

test('what was read before a read failed is sent, and the rest when it is tried again', async () => {
  const outbox = open({}, true);
  for (const sequence of [1, 2, 3]) outbox.deliver(delivery(sequence, publication('')));
  read = async (sequence) => {
    if (sequence === 2) throw new Error('EIO');
    return publication(`${sequence}`);
  };
  const texts: string[] = [];
  outbox.attach(sinkInto(texts));
  await settled();
  assert.equal(failures.length, 1);
  read = async (sequence) => publication(`${sequence}`);
  outbox.pump();
  await settled();
  assert.deepEqual(texts, ['1', '2', '3']);
});

test('one large message may push out every small one', async () => {
  const queue_messages = 100_000;
  const outbox = open({ queue_overflow: 'drop-oldest', queue_messages, inflight: 1 });
  outbox.attach(sinkInto([]));
  await settled();
  outbox.deliver(delivery(0, publication('in flight')));
  for (let i = 0; i < queue_messages; i++) outbox.deliver(delivery(0, publication('')));
  outbox.deliver(delivery(0, publication('x'.repeat(16 * 1024 * 1024))));
  assert.equal(outbox.queuedCount, 1);
  assert.equal(ledger.droppedCount, queue_messages);
});

test('properties count for the bytes that may wait', async () => {
  const outbox = open({ queue_bytes: 1024 * 1024, inflight: 1 });
  outbox.attach(sinkInto([]));
  await settled();
  outbox.deliver(delivery(0, publication('in flight')));
  const properties = Buffer.alloc(256 * 1024);
  for (let i = 0; i < 10; i++) outbox.deliver(delivery(0, publication('', properties)));
  assert.equal(outbox.queuedCount, 3);
  assert.equal(ledger.droppedCount, 7);
});

/** A connection whose client reads slowly or not at all, with the socket in the test's hand. */
import assert from 'node:assert/strict';
import { Duplex } from 'node:stream';
import { beforeEach, test } from 'node:test';
import { noEnhancedAuthenticate } from '../../broker/authenticate.ts';
import { Connection } from '../../broker/connection/connection.ts';
import type { FlowSink } from '../../broker/connection/connection-port.ts';
import type { FrameScanner } from '../../broker/connection/frame-scanner.ts';
import { ackFrame, ackHeads } from '../../broker/connection/frames.ts';
import { connectPacket, publishPacket } from '../support/raw-client.ts';

/** Takes a write only when `accept` is called. */
class SlowSocket extends Duplex {
  written = 0;
  largest = 0;
  #pending: (() => void) | null = null;

  constructor() {
    super({ writableHighWaterMark: 1_024 });
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.#note([chunk], done);
  }

  override _writev(chunks: { chunk: Buffer }[], done: () => void): void {
    this.#note(
      chunks.map(({ chunk }) => chunk),
      done,
    );
  }

  /** True when something was waiting to be taken. */
  accept(): boolean {
    const pending = this.#pending;
    this.#pending = null;
    pending?.();
    return pending !== null;
  }

  #note(chunks: Buffer[], done: () => void): void {
    const bytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    this.written += bytes;
    this.largest = Math.max(this.largest, bytes);
    this.#pending = done;
  }
}

const hooks = {
  pass: () => {},
  refreshKeepAlive: () => {},
  isSubscribed: () => false,
  keepSession: () => {},
  whenRetained: (_connection: Connection, then: () => void) => then(),
  closed: () => {},
  gone: () => {},
};
let socket: SlowSocket;
let connection: Connection;
let taken: number;

beforeEach(() => {
  socket = new SlowSocket();
  connection = new Connection(socket, hooks, {
    listener: 'mqtt',
    remoteAddress: '',
    certificate: null,
    server: {
      packetBytesMax: 1_000_000,
      receiveMaximum: 1_000,
      topicAliasMaximum: 0,
      sessionExpirySecondsMax: 60,
      keepAliveSecondsMin: 0,
      keepAliveSecondsMax: 0,
      responseInformation: '',
      assignClientId: () => 'assigned',
    },
    enhanced: noEnhancedAuthenticate,
    renewed: () => true,
    rates: null,
    filtersMax: 100,
    connectMs: 10_000,
    admitInTurn: (_one, letIn) => setImmediate(letIn),
    backlogBytesMax: 20_000,
  });
  taken = 0;
});

const answering: FlowSink = {
  frame(scanner: FrameScanner) {
    taken++;
    connection.send(ackFrame(ackHeads.puback, scanner.buffer.readUInt16BE(scanner.end - 3)));
    return null;
  },
  mustWait: () => false,
  receivedCount: 0,
  drained: () => {},
};

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

test('a client that does not read its answers is not read without bound either', async () => {
  socket.push(connectPacket('flood'));
  await turn();
  connection.open(answering);
  const one = publishPacket('t', 'x', { qos: 1, packetId: 1 });
  const burst = Buffer.concat(Array.from({ length: 1_000 }, () => one));
  for (let i = 0; i < 100; i++) {
    socket.push(burst);
    await turn();
  }
  assert.equal(connection.isPaused, true);
  assert.ok(taken < 10_000, `${taken} taken`);
  while (taken < 100_000 || socket.written < 400_000) {
    socket.accept();
    await turn();
  }
  assert.deepEqual([taken, socket.written, connection.isPaused], [100_000, 400_000, false]);
  connection.end('disconnected');
  socket.destroy();
});

test('a client that reads slowly is not taken for one that reads nothing', async () => {
  socket.push(connectPacket('slow'));
  await turn();
  connection.open(answering);
  for (let i = 0; i < 1_000; i++) {
    connection.send(Buffer.alloc(4_096));
    if (i === 0) await turn();
  }
  const start = performance.now();
  const first = connection.blockedMs(start + 60_000);
  assert.ok(first > 50_000);
  while (performance.now() < start + 20) await turn();
  socket.accept();
  await turn();
  // It took a piece: its time begins anew, though most still waits.
  assert.ok(connection.backlogBytes > 3_000_000);
  assert.ok(connection.blockedMs(start + 60_000) < first - 10);
  assert.ok(socket.largest <= 256 * 1024, `${socket.largest} bytes in one write`);
  connection.end('disconnected');
  socket.destroy();
});

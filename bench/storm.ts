/**
 * A fleet that comes back all at once: how long until all are let in and have what is retained for
 * them, and what devices that stayed notice of it. Run it with a limit of open files above twice the
 * number of clients (`ulimit -n`).
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { generate, type Packet } from 'mqtt-packet';
import {
  messageFrom,
  removeFolder,
  startModule,
  stopChild,
  temporaryFolder,
} from './support/children.ts';
import { positive } from './support/flags.ts';

const entryFile = fileURLToPath(new URL('../trunkline.js', import.meta.url));
const pairFile = new URL('./storm/live-pair.js', import.meta.url);
const atOnce = 200;
const heads = { connack: 0x20, publish: 0x30, suback: 0x90 } as const;

const { values } = parseArgs({
  options: {
    clients: { type: 'string', default: '9500' },
    retained: { type: 'string', default: '100000' },
  },
});
const clients = positive('clients', values.clients);
const retained = positive('retained', values.retained);

function bytesOf(fields: Record<string, unknown>): Buffer {
  return generate(fields as unknown as Packet);
}

function connectAndSubscribe(id: string): Buffer {
  const connectFields = { cmd: 'connect', protocolId: 'MQTT', protocolVersion: 4, keepalive: 60 };
  const subscriptions = [{ topic: `storm/${id}/#`, qos: 1 }];
  return Buffer.concat([
    bytesOf({ ...connectFields, clean: false, clientId: id }),
    bytesOf({ cmd: 'subscribe', messageId: 1, subscriptions }),
  ]);
}

/** Milliseconds until CONNACK and until the first retained message; Infinity when it is not let in. */
async function comeIn(port: number, id: string, sockets: Socket[]): Promise<[number, number]> {
  const began = performance.now();
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  sockets.push(socket);
  socket.write(connectAndSubscribe(id));
  let connackMs = Number.POSITIVE_INFINITY;
  return new Promise((resolve) => {
    const fail = () => resolve([connackMs, Number.POSITIVE_INFINITY]);
    socket.on('error', fail).on('close', fail);
    socket.on('data', (chunk: Buffer) => {
      const ms = performance.now() - began;
      if ((chunk[0] as number) === heads.connack) {
        if (chunk[3] !== 0) fail();
        connackMs = ms;
      }
      // CONNACK and SUBACK are 9 bytes in all: more than those is what was retained.
      if (chunk.length > 9 || (chunk[0] as number) >> 4 === heads.publish >> 4) {
        resolve([connackMs, ms]);
      }
    });
  });
}

async function retain(port: number): Promise<void> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  socket.write(connectAndSubscribe('storm-retainer'));
  for (let i = 0; i < retained; i++) {
    const topic = `storm/c${i % clients}/${Math.floor(i / clients)}`;
    const fields = { cmd: 'publish', topic, payload: 'x'.repeat(64), qos: 0, retain: true };
    if (!socket.write(bytesOf({ ...fields, dup: false }))) await once(socket, 'drain');
  }
  const answered = new Promise<void>((resolve) => {
    socket.on('data', (chunk: Buffer) => {
      if (chunk.at(-2) === 0xd0) resolve();
    });
  });
  socket.write(bytesOf({ cmd: 'pingreq' }));
  await answered;
  socket.destroy();
}

async function connectionsNow(): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${told.ports['edge_http']}/metrics`)).text();
  return Number(/^trunkline_connections (\d+)$/m.exec(text)?.[1]);
}

function quantile(sorted: readonly number[], share: number): string {
  return (sorted[Math.floor((sorted.length - 1) * share)] ?? Number.NaN).toFixed(0);
}

function line(name: string, figures: readonly number[]): string {
  const sorted = [...figures].sort((one, other) => one - other);
  const [p50, p99, last] = [0.5, 0.99, 1].map((share) => quantile(sorted, share));
  return `${name.padEnd(34)} ${String(figures.length).padStart(7)}  p50 ${p50}  p99 ${p99}  last ${last} ms\n`;
}

const folder = temporaryFolder();
const ports = ['--mqtt-port', '--ws-port', '--edge-http-port', '--trunk-port', '--gateway-port'];
const flags = [...ports, '--http-port'].flatMap((flag) => [flag, '0']);
const child = startModule(entryFile, [
  ...['up', '--data', join(folder, 'data'), '--log-level', 'error', ...flags],
  ...['--limits-connections', String(clients + 100)],
]);
const told = await messageFrom<{ ports: Record<string, number> }>(child, 'trunkline');
const port = told.ports['mqtt'] as number;
await retain(port);
const ids = Array.from({ length: clients }, (_, i) => `c${i}`);
let sockets: Socket[] = [];
for (let at = 0; at < clients; at += atOnce) {
  await Promise.all(ids.slice(at, at + atOnce).map((id) => comeIn(port, id, sockets)));
}
const pair = new Worker(pairFile, { workerData: { port } });
await once(pair, 'message');
const taken = async (word: 'take' | 'end') => {
  pair.postMessage(word);
  return (await once(pair, 'message'))[0] as number[];
};
await new Promise((resolve) => setTimeout(resolve, 2_000));
process.stdout.write(line('live messages before', await taken('take')));
for (const socket of sockets) socket.resetAndDestroy();
sockets = [];
while ((await connectionsNow()) > 2) await new Promise((resolve) => setTimeout(resolve, 100));
process.stdout.write(line('live messages while all are cut', await taken('take')));
const back = await Promise.all(ids.map((id) => comeIn(port, id, sockets)));
process.stdout.write(
  line(
    'clients let in again',
    back.map(([ms]) => ms),
  ),
);
process.stdout.write(
  line(
    'clients with what is retained',
    back.map(([, ms]) => ms),
  ),
);
process.stdout.write(line('live messages while all return', await taken('end')));
for (const socket of sockets) socket.destroy();
await stopChild(child);
removeFolder(folder);

/** Ways to exhaust the system before anybody is let in: at the doors of devices, operators, edges. */
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { Client, credentials } from '@grpc/grpc-js';
import { WebSocket } from 'ws';
import { Client5 } from '../support/client-5.ts';
import { type Attack, attackEach, login, type Target } from '../support/exhaustion.ts';
import { connectPacket, packet } from '../support/raw-client.ts';

const closed = 'trunkline_connections_closed_total';

async function sendEach(target: Target, count: number, bytes: Buffer | string): Promise<void> {
  for (const socket of await target.sockets(count)) socket.resume().write(bytes);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.of(bytes.length >> 8, bytes.length & 255), bytes]);
}

/** CONNECT of MQTT 5 with so many user properties. */
function connectWithProperties(count: number): Buffer {
  const one = Buffer.concat([Buffer.of(0x26), text('k'), text('v')]);
  const all = Buffer.concat(Array.from({ length: count }, () => one));
  const length = Buffer.of((all.length & 127) | 128, all.length >> 7);
  return packet(0x10, text('MQTT'), Buffer.of(5, 2, 0, 60), length, all, text('p'));
}

async function webSocket(target: Target): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${target.port('ws')}/mqtt`, 'mqtt');
  socket.on('error', () => {});
  await once(socket, 'open');
  return socket;
}

function http2To(target: Target, name: string) {
  const session = connectHttp2(`http://127.0.0.1:${target.port(name)}`);
  session.on('error', () => {});
  return session;
}

/** A gRPC call with bytes of the caller's making; answers when it has ended. */
function rawCall(target: Target, name: string, path: string, bytes: Buffer): Promise<void> {
  const client = new Client(`127.0.0.1:${target.port(name)}`, credentials.createInsecure());
  return new Promise((resolve) => {
    const same = (one: Buffer) => one;
    const call = client.makeBidiStreamRequest(path, same, same);
    const done = () => {
      client.close();
      resolve();
    };
    call.on('data', () => {}).on('error', done);
    call.on('end', done);
    call.write(bytes);
    call.end();
  });
}

function nested(tag: number, bytes: Buffer): Buffer {
  const length: number[] = [];
  for (let rest = bytes.length; ; rest >>>= 7) {
    length.push(rest > 127 ? (rest & 127) | 128 : rest);
    if (rest <= 127) break;
  }
  return Buffer.concat([Buffer.of(tag, ...length), bytes]);
}

const million = Buffer.alloc(2_000_000);
for (let at = 0; at < million.length; at += 2) million[at] = 0x2a;

const publications = Buffer.from(million);
for (let at = 0; at < publications.length; at += 2) publications[at] = 0x0a;

async function guess(target: Target, count: number): Promise<void> {
  const tries = Array.from({ length: count }, async (_, i) => {
    const client = await Client5.open(target.port('mqtt'));
    const password = Buffer.from(`guess ${i}`);
    await client.connect(`g${i}`, { username: `${login.username}${i % 7}`, password });
    client.socket.destroy();
  });
  await Promise.allSettled(tries);
}

const attacks: readonly Attack[] = [
  {
    name: 'half-open connections',
    run: async (target) => void (await target.sockets(500)),
    counted: 'trunkline_limits_met_total{limit="connecting"}',
  },
  {
    name: 'CONNECT that comes byte by byte',
    run: async (target) => {
      const sockets = await target.sockets(100);
      const bytes = connectPacket('slow');
      for (let at = 0; at < 10; at++) {
        for (const socket of sockets) socket.write(bytes.subarray(at, at + 1));
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    },
    counted: 'trunkline_limits_met_total{limit="connect_seconds"}',
  },
  {
    name: 'CONNECT that claims 256 MiB',
    run: (target) => sendEach(target, 200, Buffer.of(0x10, 0xff, 0xff, 0xff, 0x7f, 0)),
    counted: closed,
  },
  {
    name: 'CONNECT that sends more than it may',
    run: (target) => sendEach(target, 100, packet(0x10, Buffer.alloc(100_000))),
    counted: `${closed}{reason="connect-too-large"}`,
  },
  {
    name: 'a flood of properties in CONNECT',
    run: (target) => sendEach(target, 200, connectWithProperties(2_000)),
    counted: 'trunkline_connections_refused_total',
  },
  {
    name: 'bytes that are not MQTT',
    run: (target) => sendEach(target, 300, Buffer.alloc(60_000, 0xff)),
    counted: `${closed}{reason="protocol-error"}`,
  },
  {
    name: 'connections that are cut off at once',
    run: async (target) => {
      for (let round = 0; round < 5; round++) {
        for (const socket of await target.sockets(100)) socket.resetAndDestroy();
      }
    },
    counted: closed,
  },
  {
    name: 'a flood of guessed passwords',
    run: (target) => guess(target, 250),
    counted: 'trunkline_connections_refused_total{reason="credentials"}',
  },
  {
    name: 'a flood of user names of 8 KiB with passwords to hash of 4 KiB',
    run: async (target) => {
      const connectFlags = Buffer.of(4, 0xc2, 0, 60);
      const named = (i: number) =>
        packet(
          0x10,
          text('MQTT'),
          connectFlags,
          text('h'),
          text(`${i}`.padEnd(8_000, 'u')),
          text('p'.repeat(4_000)),
        );
      const sockets = await target.sockets(200);
      for (const [i, socket] of sockets.entries()) socket.resume().write(named(i));
    },
    counted: 'trunkline_connections_refused_total',
  },
  {
    name: 'packets sent behind a CONNECT that is refused',
    run: (target) =>
      sendEach(target, 100, Buffer.concat([connectPacket('x'), Buffer.alloc(50_000, 0xc0)])),
    counted: 'trunkline_connections_refused_total',
  },
  {
    name: 'authentication methods that are not offered',
    run: async (target) => {
      const tries = Array.from({ length: 100 }, async () => {
        const client = await Client5.open(target.port('mqtt'));
        const authenticationData = Buffer.alloc(8_000);
        const properties = { authenticationMethod: 'M'.repeat(4_000), authenticationData };
        await client.connect('m', { properties });
        client.socket.destroy();
      });
      await Promise.allSettled(tries);
    },
    counted: `${closed}{reason="authentication-method"}`,
  },
  {
    name: 'web socket requests that are never finished',
    run: async (target) => {
      for (const socket of await target.sockets(200, 'ws'))
        socket.write('GET /mqtt HTTP/1.1\r\nA: ');
    },
  },
  {
    name: 'huge headers on the web socket port',
    run: async (target) => {
      for (const socket of await target.sockets(100, 'ws')) {
        socket.resume().write(`GET /mqtt HTTP/1.1\r\nX: ${'x'.repeat(200_000)}`);
      }
    },
  },
  {
    name: 'web socket messages of one byte',
    run: async (target) => {
      const socket = await webSocket(target);
      socket.send(Buffer.of(0x10));
      for (let i = 0; i < 10_000; i++) socket.ping();
      for (let i = 0; i < 1_000; i++) socket.send(Buffer.of(0xff));
      await once(socket, 'close');
    },
    counted: closed,
  },
  {
    name: 'a web socket frame that claims an exabyte',
    run: async (target) => {
      const key = Buffer.alloc(16).toString('base64');
      const head = ['GET /mqtt HTTP/1.1', 'Host: x', 'Upgrade: websocket', 'Connection: Upgrade'];
      const rest = ['Sec-WebSocket-Protocol: mqtt', 'Sec-WebSocket-Version: 13'];
      const request = [...head, ...rest, `Sec-WebSocket-Key: ${key}`, '', ''].join('\r\n');
      for (const socket of await target.sockets(50, 'ws')) {
        socket.resume().write(request);
        socket.write(Buffer.of(0x82, 0xff, 0x0f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff));
      }
    },
    counted: closed,
  },
  {
    name: 'silent connections to the metrics port',
    run: async (target) => void (await target.sockets(150, 'edge_http')),
  },
  {
    name: 'silent connections and huge requests to the operators’ HTTP',
    run: async (target) => {
      for (const [i, socket] of (await target.sockets(150, 'http')).entries()) {
        if (i % 2 === 0) socket.write(`POST /v1/rules HTTP/1.1\r\nX: ${'x'.repeat(100_000)}`);
      }
    },
  },
  {
    name: 'HTTP/2 streams that are reset at once',
    run: async (target) => {
      const session = http2To(target, 'gateway');
      const path = '/trunkline.v1.GatewayService/Attach';
      for (let i = 0; i < 3_000 && !session.destroyed; i++) {
        const stream = session.request({ ':method': 'POST', ':path': path, te: 'trailers' });
        stream.on('error', () => {});
        stream.close(8);
        if (i % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      session.destroy();
    },
  },
  {
    name: 'HTTP/2 pings and settings',
    run: async (target) => {
      const session = http2To(target, 'trunk');
      await once(session, 'connect');
      for (let i = 0; i < 2_000 && !session.destroyed; i++) {
        session.ping(() => {});
        if (i % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      session.destroy();
    },
  },
  {
    name: 'a gRPC batch of a million empty topics',
    run: (target) =>
      rawCall(target, 'trunk', '/trunkline.v1.TrunkService/Lane', nested(0x12, million)),
  },
  {
    name: 'a gRPC call with a million empty publications',
    run: (target) =>
      rawCall(target, 'gateway', '/trunkline.v1.GatewayService/PublishStream', publications),
  },
];

attackEach(attacks);

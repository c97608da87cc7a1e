/**
 * Plays the packet sequences of Eclipse Mosquitto's broker tests (`test/broker/data/*.json`) to a
 * running edge: `node tools/packet-sequences.mjs FOLDER [PORT]`. What is compared, and which
 * differences are expected, stands in docs/conformance.md; any other ends it with code 1.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';

const [folder, port = '1883'] = process.argv.slice(2);
const patienceMs = 1_000;

/** Cases that expect otherwise, and why that need not be. */
const expected = [
  [/(U\+|0x)00(01|1F|7F|9F)/, 'control characters may be refused or let pass (section 1.5.4)'],
  [/PUBLISH.* [^*]*subscription-identifier=/, 'a client must not send one [MQTT-3.3.4-6]'],
];

const text = (value) => {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.of(bytes.length >> 8, bytes.length & 255), bytes]);
};

const connectBytes = (clientId, version) => {
  const name = text(version === 3 ? 'MQIsdp' : 'MQTT');
  const properties = version === 5 ? Buffer.of(0) : Buffer.alloc(0);
  const head = Buffer.concat([name, Buffer.of(version, 2, 0, 60), properties]);
  const body = Buffer.concat([head, text(clientId)]);
  return Buffer.concat([Buffer.of(0x10, body.length), body]);
};

/** One packet from the front of the bytes, or null. */
const cut = (bytes) => {
  let length = 0;
  for (let at = 1, shift = 0; at < bytes.length; shift += 7) {
    const byte = bytes[at++];
    length |= (byte & 127) << shift;
    if (byte < 128) return at + length <= bytes.length ? bytes.subarray(0, at + length) : null;
  }
  return null;
};

class Client {
  #bytes = Buffer.alloc(0);
  #isClosed = false;
  #wake = () => {};

  constructor() {
    this.socket = connect(Number(port), '127.0.0.1');
    this.socket.on('error', () => {});
    this.socket.on('data', (chunk) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
      this.#wake();
    });
    this.socket.on('close', () => {
      this.#isClosed = true;
      this.#wake();
    });
  }

  /** The next packet; null at the end, undefined when nothing comes. */
  async next() {
    const until = Date.now() + patienceMs;
    for (;;) {
      const packet = cut(this.#bytes);
      if (packet !== null) {
        this.#bytes = this.#bytes.subarray(packet.length);
        return packet;
      }
      if (this.#isClosed) return null;
      const left = until - Date.now();
      if (left <= 0) return undefined;
      await new Promise((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }
}

/** "same", "other code" for the same verdict with another reason code, or what came instead. */
const compare = (got, want) => {
  if (!got) return got === null ? 'the end of the connection' : 'nothing';
  const type = want[0] >> 4;
  // Of CONNACK the flags and the code: what a server offers is its own.
  const isEqual = type === 2 ? got.subarray(2, 4).equals(want.subarray(2, 4)) : got.equals(want);
  if (got[0] === want[0] && isEqual) return 'same';
  if (got[0] !== want[0]) return got.toString('hex');
  if (type === 14) return got[2] === want[2] ? 'same' : 'other code';
  const hasCode = [4, 5, 7].includes(type) && got.subarray(2, 4).equals(want.subarray(2, 4));
  // 0x10 may be said for a message without subscribers, 0x92 for an unknown identifier.
  const may = (bytes, code) => bytes.length === 4 || bytes[4] === code;
  const code = type === 7 ? 0x92 : 0x10;
  return hasCode && may(got, code) && may(want, code) ? 'other code' : got.toString('hex');
};

const publish = async ({ topic, payload, qos }) => {
  const helper = new Client();
  helper.socket.write(connectBytes('helper', 4));
  await helper.next();
  const id = qos > 0 ? Buffer.of(0, 1) : Buffer.alloc(0);
  const body = Buffer.concat([text(topic), id, Buffer.from(payload)]);
  helper.socket.write(Buffer.concat([Buffer.of(0x30 | (qos << 1), body.length), body]));
  if (qos > 0) await helper.next();
  if (qos === 2) helper.socket.write(Buffer.of(0x62, 2, 0, 1));
  if (qos === 2) await helper.next();
  helper.socket.destroy();
};

const isRefusal = (packet) => packet[0] === 0xe0 || (packet[0] === 0x20 && packet[3] !== 0);

const endOf = async (client, mustEnd) => {
  if (!mustEnd) {
    client.socket.write(Buffer.of(0xc0, 0));
    const got = await client.next();
    return got?.[0] === 0xd0 ? 'same' : `${compare(got, Buffer.of(0xd0, 0))} for PINGREQ`;
  }
  let got = await client.next();
  if (got && isRefusal(got)) got = await client.next();
  return got === null ? 'same' : `${got === undefined ? 'nothing' : 'a packet'} for the end`;
};

const play = async (name, { ver = 4, connect: isConnected = true, msgs, ...rest }) => {
  const client = new Client();
  const found = new Set();
  if (isConnected) {
    client.socket.write(connectBytes(name, ver));
    if ((await client.next())?.[3] !== 0) return 'no CONNACK';
  }
  for (const message of msgs) {
    if (message.type === 'publish') await publish(message);
    const bytes = Buffer.from((message.payload ?? '').replaceAll(' ', ''), 'hex');
    if (message.type === 'send') client.socket.write(bytes);
    if (message.type === 'recv') found.add(compare(await client.next(), bytes));
  }
  found.add(await endOf(client, rest.expect_disconnect ?? true));
  client.socket.destroy();
  found.delete('same');
  return [...found].join(', ') || 'same';
};

const counts = new Map();
for (const file of readdirSync(folder).sort()) {
  for (const { group, tests, disable } of JSON.parse(readFileSync(join(folder, file), 'utf8'))) {
    for (const one of disable ? [] : tests) {
      const name = `${group} ${one.name}`;
      const outcome = await play(name, one);
      const isKnown = outcome === 'same' || outcome === 'other code';
      const reason = expected.find(([pattern]) => pattern.test(name))?.[1];
      if (!isKnown && reason === undefined) console.log(`${name}: ${outcome}`);
      const kind = isKnown ? outcome : (reason ?? 'different');
      counts.set(kind, (counts.get(kind) ?? 0) + 1);
    }
  }
}
for (const [kind, count] of counts) console.log(`${count} ${kind}`);
if (counts.has('different')) process.exitCode = 1;

/** How an edge with workers knows whose a device is, and keeps to it. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { loadConfig } from '../../base/config.ts';
import { ConnectPeek } from '../../cli/workers/connect-peek.ts';
import { mergedMetrics } from '../../cli/workers/merged-metrics.ts';
import { ownerOf } from '../../cli/workers/owner.ts';
import { claimWorkerCount, workerFolder } from '../../cli/workers/worker-count.ts';
import { connectPacket, packet, publishPacket } from '../support/raw-client.ts';

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes]);
}

function connect(level: number, clientId: string, properties = Buffer.alloc(0)): Buffer {
  const name = text(level === 3 ? 'MQIsdp' : 'MQTT');
  return packet(0x10, name, Buffer.from([level, 2, 0, 60]), properties, text(clientId));
}

const properties = Buffer.concat([Buffer.from([0x85, 0x01]), Buffer.alloc(0x85, 7)]);

test('the client identifier is found in CONNECT of MQTT 3.1, 3.1.1 and 5', () => {
  const sent = [
    connect(3, 'däh'),
    connect(4, 'däh'),
    connect(0x84, 'däh'),
    connect(5, 'däh', Buffer.from([0])),
    connect(5, 'däh', properties),
  ];
  for (const bytes of sent) {
    assert.equal(new ConnectPeek().take(bytes).toString(), 'däh');
    // What comes behind it changes nothing.
    const more = Buffer.concat([bytes, publishPacket('a', 'b')]);
    assert.equal(new ConnectPeek().take(more).toString(), 'däh');
    const peek = new ConnectPeek();
    const answers = [...bytes].map((byte) => peek.take(Buffer.from([byte])).toString());
    assert.deepEqual(new Set(answers.slice(0, -1)), new Set(['more']));
    assert.equal(answers.at(-1), 'däh');
    assert.deepEqual(peek.bytes, bytes);
  }
});

test('what has no identifier, or is no sound CONNECT, is nobody', () => {
  const sent = [
    connectPacket(''),
    publishPacket('a', 'b'),
    Buffer.from('GET / HTTP/1.1\r\n\r\n'),
    Buffer.from('\x11\x0c\0\x04MQTT\x04\x02\0\x3c\0\0', 'latin1'),
    Buffer.from([0x10, 0xff, 0xff, 0xff, 0xff]),
    Buffer.from([0x10, 0xff, 0xff, 0x7f]),
    packet(0x10, text('MQTS'), Buffer.from([4, 2, 0, 60]), text('a')),
    packet(0x10, text('MQTT'), Buffer.from([4, 2, 0, 60, 0, 9]), Buffer.from('short')),
    packet(0x10, text('MQTT'), Buffer.from([4, 2])),
    packet(0x10, text('MQTT'), Buffer.from([5, 2, 0, 60, 0x7f]), text('a')),
    packet(0x10, text('MQTT'), Buffer.from([5, 2, 0, 60, 0xff, 0xff, 0xff, 0xff]), text('a')),
  ];
  for (const bytes of sent) assert.equal(new ConnectPeek().take(bytes), 'nobody');
  const short = packet(0x10, text('MQTT'), Buffer.from([4, 2, 0, 60, 0, 9]), Buffer.from('short'));
  assert.equal(new ConnectPeek().take(Buffer.concat([short, short])), 'nobody');
});

test('any bytes have an answer, the same in one piece as in two, within the budget', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), fc.nat(64), (tail, cut) => {
      const bytes = Buffer.concat([connect(5, 'x', properties).subarray(0, cut), tail]);
      const whole = new ConnectPeek().take(bytes);
      const peek = new ConnectPeek();
      const first = peek.take(bytes.subarray(0, cut));
      assert.deepEqual(first === 'more' ? peek.take(bytes.subarray(cut)) : whole, whole);
    }),
  );
  const endless = new ConnectPeek();
  const start = Buffer.from([
    0x10,
    0xfd,
    0x7f,
    0,
    4,
    ...Buffer.from('MQTT'),
    5,
    2,
    0,
    60,
    0xfd,
    0x7f,
  ]);
  assert.equal(endless.take(start), 'more');
  assert.equal(endless.take(Buffer.alloc(17_000)), 'nobody');
});

test('the owner of an identifier stays the same from release to release', () => {
  const owners = ['', 'a', 'device-1', 'device-2', 'däh'].map((id) =>
    [2, 3, 8, 64].map((workers) => ownerOf(Buffer.from(id), workers)),
  );
  assert.deepEqual(owners, [
    [2, 3, 4, 12],
    [2, 1, 4, 52],
    [1, 3, 7, 31],
    [2, 3, 4, 4],
    [2, 2, 2, 42],
  ]);
});

test('identifiers are spread evenly, also those of a pattern', () => {
  const patterns = [
    (i: number) => `device-${i}`,
    (i: number) => `${i}/${i}`,
    (i: number) => `${i * 2}`,
  ];
  for (const pattern of patterns) {
    for (const workers of [2, 3, 8]) {
      const counts = new Array<number>(workers).fill(0);
      for (let i = 0; i < 8_000; i++) counts[ownerOf(Buffer.from(pattern(i)), workers) - 1]!++;
      const mean = 8_000 / workers;
      for (const count of counts) assert.ok(Math.abs(count - mean) < mean * 0.15, `${counts}`);
    }
  }
});

test('expositions are joined family by family, each sample with its worker', () => {
  const one =
    '# HELP a_total A.\n# TYPE a_total counter\na_total{reason="x y"} 1\n# HELP b B.\n# TYPE b gauge\nb 2\n';
  const two =
    '# HELP b B.\n# TYPE b gauge\nb 3\n# HELP c C.\n# TYPE c summary\nc{quantile="0.5"} 1\nc_sum 1\nc_count 1\n';
  const merged = mergedMetrics([
    { worker: '1', text: one },
    { worker: '2', text: two },
  ]);
  assert.equal(
    merged,
    `${[
      '# HELP a_total A.',
      '# TYPE a_total counter',
      'a_total{worker="1",reason="x y"} 1',
      '# HELP b B.',
      '# TYPE b gauge',
      'b{worker="1"} 2',
      'b{worker="2"} 3',
      '# HELP c C.',
      '# TYPE c summary',
      'c{worker="2",quantile="0.5"} 1',
      'c_sum{worker="2"} 1',
      'c_count{worker="2"} 1',
    ].join('\n')}\n`,
  );
});

test('a data folder belongs to one count of workers', async () => {
  const data = mkdtempSync(join(tmpdir(), 'trunkline-test-'));
  const claim = (workers: number) =>
    claimWorkerCount(loadConfig({ env: {}, flags: { data, 'edge-workers': `${workers}` } }));
  try {
    await claim(1);
    assert.deepEqual(readdirSync(data), [], 'one worker keeps no count');
    mkdirSync(join(data, 'edge', 'spool'), { recursive: true });
    await claim(1);
    await assert.rejects(claim(2), /edge\.workers = 1, not 2/);
    rmSync(join(data, 'edge'), { recursive: true });
    await claim(3);
    await claim(3);
    await assert.rejects(claim(1), /edge\.workers = 3, not 1/);
    await assert.rejects(claim(4), /Start with --edge-workers 3, or choose another folder/);
    // A worker's folder is the data folder of an edge of its own.
    assert.equal(workerFolder(data, 3), join(data, 'worker-3'));
  } finally {
    rmSync(data, { recursive: true });
  }
});

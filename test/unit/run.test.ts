/**
 * Runs of PUBLISH frames against mqtt-packet: whatever is made of a run, in any protocol version and
 * at any QoS, is byte for byte what each publication by itself would have been.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import mqttPacket from 'mqtt-packet';
import type { Qos } from '../../base/publication.ts';
import { topicNameFault } from '../../base/topic.ts';
import { decodeRecords } from '../../bridge/spool-record.ts';
import { encodeRun } from '../../bridge/spool-run.ts';
import { FrameScanner } from '../../broker/connection/frame-scanner.ts';
import { type FrameForm, Run } from '../../proto/run.ts';

const topics = fc
  .string({ minLength: 1, maxLength: 30, unit: 'grapheme' })
  .filter((text) => topicNameFault(text) === null);
const payloads = fc.array(fc.uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 20 });
const qualities = fc.constantFrom<Qos>(0, 1, 2);
const forms = fc.constantFrom<FrameForm>(4, 5);

function frame(topic: string, payload: Uint8Array, as: { qos: Qos; form: FrameForm; id: number }) {
  const { qos, form, id } = as;
  return mqttPacket.generate(
    {
      cmd: 'publish',
      topic,
      payload: Buffer.from(payload),
      qos,
      retain: false,
      dup: false,
      ...(qos > 0 ? { messageId: id } : {}),
    },
    { protocolVersion: form },
  );
}

function frames(topic: string, all: Uint8Array[], as: { qos: Qos; form: FrameForm }): Buffer[] {
  return all.map((payload, index) => frame(topic, payload, { ...as, id: index + 1 }));
}

/** As the scanner finds it in what was received. */
function runOf(topic: string, all: Uint8Array[], as: { qos: Qos; form: FrameForm }): Run {
  const bytes = Buffer.concat(frames(topic, all, as));
  const scanner = new FrameScanner(1 << 20);
  scanner.push(bytes);
  assert.ok(scanner.next());
  const topicBytes = Buffer.byteLength(topic);
  const head = bytes.subarray(scanner.bodyStart, scanner.bodyStart + 2 + topicBytes);
  const count = scanner.extendRun(head, as.form);
  const { buffer, start, end } = scanner;
  return new Run({ topic, topicBytes, count, acceptedAt: 1_000, ...as }, { buffer, start, end });
}

test('all frames of one topic that lie side by side are one run', () => {
  fc.assert(
    fc.property(topics, payloads, qualities, forms, (topic, all, qos, form) => {
      const run = runOf(topic, all, { qos, form });
      assert.equal(run.count, all.length);
      assert.deepEqual(
        run.publications().map(({ payload }) => new Uint8Array(payload)),
        all,
      );
      if (qos > 0)
        assert.deepEqual(
          run.packetIds(),
          [...all.keys()].map((index) => index + 1),
        );
    }),
  );
});

test('in another form or at a lower QoS the frames are what each would be by itself', () => {
  fc.assert(
    fc.property(topics, payloads, qualities, forms, forms, (topic, all, qos, form, wanted) => {
      const run = runOf(topic, all, { qos, form });
      for (let lower = qos; lower >= 0; lower--) {
        const { buffer, start, end } = run.framesFor(wanted, lower as Qos);
        const got = Buffer.from(buffer.subarray(start, end));
        const expected = Buffer.concat(frames(topic, all, { qos: lower as Qos, form: wanted }));
        // Identifiers are for the writer to set.
        assert.equal(got.length, expected.length);
        if (lower === 0) assert.deepEqual(got, expected);
      }
    }),
  );
});

test('a run ends before a frame that is not like its first', () => {
  const as = { qos: 1, form: 5 } as const;
  const like = frames('a/b', [Buffer.from('1'), Buffer.from('2')], as);
  const others = [
    frame('a/c', Buffer.from('3'), { ...as, id: 3 }),
    frame('a/b', Buffer.from('3'), { qos: 0, form: 5, id: 0 }),
    Buffer.concat([Buffer.of(0x33), frame('a/b', Buffer.from('3'), { ...as, id: 3 }).subarray(1)]),
    mqttPacket.generate(
      {
        cmd: 'publish',
        topic: 'a/b',
        payload: '3',
        qos: 1,
        retain: false,
        dup: false,
        messageId: 3,
        properties: { contentType: 'x' },
      },
      { protocolVersion: 5 },
    ),
    // Packet identifier 0, and a remaining length in two bytes that needs one.
    Buffer.of(0x32, 8, 0, 3, 0x61, 0x2f, 0x62, 0, 0, 0),
    Buffer.of(0x32, 0x89, 0, 0, 3, 0x61, 0x2f, 0x62, 0, 3, 0, 0x33),
    frame('a/b', Buffer.from('cut off'), { ...as, id: 3 }).subarray(0, -1),
  ];
  for (const other of others) {
    const scanner = new FrameScanner(1 << 20);
    scanner.push(Buffer.concat([...like, other]));
    scanner.next();
    assert.equal(scanner.extendRun(Buffer.of(0, 3, 0x61, 0x2f, 0x62), 5), 2, other.toString('hex'));
    assert.equal(scanner.end, Buffer.concat(like).length);
  }
});

test('the spool reads a run back as its publications, each with its place', () => {
  fc.assert(
    fc.property(topics, payloads, qualities, forms, (topic, all, qos, form) => {
      const run = runOf(topic, all, { qos, form });
      const bytes = encodeRun({
        kind: 'run',
        run,
        clientId: 'client',
        direction: 'up',
        lane: 2,
        place: 7,
        from: null,
      });
      const records = decodeRecords(bytes, 0, bytes.length);
      assert.deepEqual(
        records.map((record) => {
          assert.ok(record.kind === 'publication');
          const { publication, place, packetId, lane } = record;
          return {
            ...publication,
            payload: new Uint8Array(publication.payload),
            place,
            packetId,
            lane,
          };
        }),
        all.map((payload, index) => ({
          ...{
            topic,
            payload,
            qos,
            retain: false,
            properties: null,
            acceptedAt: 1_000,
            origin: '',
          },
          ...{ place: 7 + index, packetId: qos === 2 ? index + 1 : 0, lane: 2 },
        })),
      );
      // The run itself lives on in the record's bytes.
      assert.equal(run.frames.buffer, bytes);
      assert.equal(run.publications().length, all.length);
    }),
  );
});

/**
 * QoS 0, 1 and 2 mixed, over a disk that takes its time, on an edge that is killed at random
 * moments. The seed decides who publishes what, how long each fdatasync takes and when the edge
 * dies. Repeat a run with TRUNKLINE_SEED; TRUNKLINE_ROUNDS makes it longer.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { edgePorts, samePorts, urlOf } from '../support/fleet.ts';
import { MixedPublisher, MixedSubscriber } from '../support/mixed-load.ts';
import { type RunningProcess, startProcess } from '../support/processes.ts';
import { Random } from '../support/random.ts';
import { slowDiskEnvironment } from '../support/slow-disk.ts';

const rounds = Number(process.env['TRUNKLINE_ROUNDS'] ?? 3);
const publisherCount = 4;
const diskMsMax = 10;

/** No core in reach, and queues that hold all that is published while the subscriber is away. */
const flags = ['--edge-cores', '127.0.0.1:1', '--limits-queue-messages', '200000'];

function start(random: Random, again?: RunningProcess): Promise<RunningProcess> {
  const env = slowDiskEnvironment(random.below(2 ** 32), diskMsMax);
  if (again === undefined) return startProcess('edge', { flags, env });
  const same = [...flags, ...samePorts(again, edgePorts)];
  return startProcess('edge', { data: again.data, flags: same, env });
}

test('mixed QoS over a slow disk and random kills: acked is kept, QoS 2 is once, order holds', {
  timeout: 60_000 + rounds * 20_000,
}, async (t) => {
  const random = Random.fromEnvironment();
  t.diagnostic(`TRUNKLINE_SEED=${random.seed}`);
  let edge = await start(random);
  const url = urlOf(edge);
  const subscriber = await MixedSubscriber.open(url, 'receiver');
  const publishers = Array.from(
    { length: publisherCount },
    (_, i) => new MixedPublisher(url, `sender-${i}`, random.fork()),
  );
  for (const publisher of publishers) publisher.start();
  for (let round = 0; round < rounds; round++) {
    await random.pick(publishers).ackedMore(random.between(20, 120));
    // Not at an acknowledgement, but anywhere behind it.
    await new Promise((resolve) => setTimeout(resolve, random.below(60)));
    await edge.kill();
    edge = await start(random, edge);
  }
  await random.pick(publishers).ackedMore(50);
  await Promise.all(publishers.map((publisher) => publisher.stop()));
  const acked = publishers.flatMap((publisher) => [...publisher.acked]);
  const books = await subscriber.settle(acked);
  t.diagnostic(`acked ${acked.length}, seen ${subscriber.count}, repeated ${subscriber.repeated}`);
  await subscriber.end();
  await edge.stop();
  assert.deepEqual(books, { lost: [], reordered: [], doubled: [] });
});

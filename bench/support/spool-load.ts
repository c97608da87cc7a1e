/** Fills an edge's spool: publications of QoS 1 that nobody wants, until each is acknowledged. */
import { EventEmitter, once } from 'node:events';
import { PublishFrames } from './frames.ts';
import { payloadBytes, publishers, type SpoolJob, unackedMax } from './jobs.ts';
import { RawClient } from './raw-client.ts';

export async function fillSpool({ port, messages }: SpoolJob): Promise<void> {
  const each = Math.ceil(messages / publishers);
  await Promise.all(Array.from({ length: publishers }, (_, index) => fill(port, index, each)));
}

async function fill(port: number, index: number, count: number): Promise<void> {
  const turns = new EventEmitter();
  let sent = 0;
  let acked = 0;
  const session = { clientId: `bench-spool-${index}`, cleanSession: true };
  const client = await RawClient.open(port, session, {
    onAcks: (more) => {
      acked += more;
      turns.emit('acked');
    },
  });
  const frames = new PublishFrames({
    topic: `bench/spool-${index}/reading`,
    qos: 1,
    publisher: index,
    payloadBytes,
    countMax: unackedMax,
  });
  while (acked < count) {
    const { bytes, count: more } = frames.make(
      sent,
      Math.min(count - sent, unackedMax - (sent - acked)),
    );
    if (more > 0) client.send(bytes);
    sent += more;
    await once(turns, 'acked');
  }
  await client.close();
}

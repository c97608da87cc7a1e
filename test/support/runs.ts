/** Runs as they come from a publisher. */
import mqttPacket from 'mqtt-packet';
import type { Qos } from '../../base/publication.ts';
import { type FrameForm, Run } from '../../proto/run.ts';

/** Of the topic `a/topic`. */
export function runOfTexts(texts: readonly string[], qos: Qos = 1, form: FrameForm = 4): Run {
  const head = { cmd: 'publish', topic: 'a/topic', qos, retain: false, dup: true } as const;
  const frames = texts.map((payload, i) =>
    mqttPacket.generate({ ...head, payload, messageId: i + 1 }, { protocolVersion: form }),
  );
  const buffer = Buffer.concat(frames);
  return new Run(
    { topic: 'a/topic', topicBytes: 7, qos, form, count: texts.length, acceptedAt: 0 },
    { buffer, start: 0, end: buffer.length },
  );
}

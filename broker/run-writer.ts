/**
 * Writes frames of a run of QoS 1 or 2 to one client: a copy with packet identifiers of the client's
 * own. For sessions that are kept only QoS 1, of which the place in the log is enough to send it again.
 */
import type { Qos } from '../base/publication.ts';
import { type FrameRange, FrameWalk } from '../proto/run.ts';
import { reserve } from './connection/arena.ts';
import type { FrameSink } from './delivery.ts';
import type { InflightWindow } from './inflight-window.ts';

/** Otherwise its packets may have to be shorter, or left out. */
export function takesRuns({ version, terms }: FrameSink): boolean {
  return version !== 5 || (terms.packetBytesMax === 0 && terms.topicAliasMaximum === 0);
}

export function writeFrames(
  sink: FrameSink,
  frames: FrameRange,
  of: {
    readonly topicBytes: number;
    readonly qos: Qos;
    readonly window: InflightWindow;
    /** Place of the first in the log, where the session is owed it; else 0. */
    readonly owed: number;
  },
): void {
  const { topicBytes, qos, window } = of;
  const step = of.owed === 0 ? 0 : 1;
  let { owed } = of;
  const { buffer, start } = reserve(frames.end - frames.start);
  const end = start + frames.buffer.copy(buffer, start, frames.start, frames.end);
  const walk = new FrameWalk({ buffer, start, end }, topicBytes);
  while (walk.next()) {
    const packetId = window.launchPassing(qos, owed);
    owed += step;
    const at = walk.packetIdAt;
    // The publisher's DUP is its own affair [MQTT-3.3.1-3].
    buffer[walk.start] = 0x30 | (qos << 1);
    buffer[at] = packetId >> 8;
    buffer[at + 1] = packetId & 0xff;
  }
  sink.sendRange(buffer, start, end);
}

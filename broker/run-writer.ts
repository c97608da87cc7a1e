/**
 * Writes a run of QoS 1 or 2 to one client: a copy of its frames with packet identifiers of the
 * client's own. Only for sessions that end with their connection, so that nothing is sent again.
 */
import type { Qos } from '../base/publication.ts';
import { FrameWalk, type Run } from '../proto/run.ts';
import { reserve } from './connection/arena.ts';
import type { FrameSink } from './delivery.ts';
import type { InflightWindow } from './inflight-window.ts';

export function writeRun(
  sink: FrameSink,
  run: Run,
  on: { readonly qos: Qos; readonly window: InflightWindow },
): void {
  const { qos, window } = on;
  const frames = run.framesFor(sink.version, qos);
  const { buffer, start } = reserve(frames.end - frames.start);
  const end = start + frames.buffer.copy(buffer, start, frames.start, frames.end);
  const walk = new FrameWalk({ buffer, start, end }, run.topicBytes);
  while (walk.next()) {
    const packetId = window.launchPassing(qos);
    const at = walk.packetIdAt;
    // The publisher's DUP is its own affair [MQTT-3.3.1-3].
    buffer[walk.start] = 0x30 | (qos << 1);
    buffer[at] = packetId >> 8;
    buffer[at + 1] = packetId & 0xff;
  }
  sink.sendRange(buffer, start, end);
}

/** Many acknowledgements of one kind in one go. */
import { reserve } from './arena.ts';

/** Four bytes each, all with success. */
export function sendAcks(
  to: { sendRange(buffer: Buffer, start: number, end: number): void },
  head: number,
  packetIds: readonly number[],
): void {
  const { buffer, start } = reserve(packetIds.length * 4);
  let at = start;
  for (const packetId of packetIds) {
    buffer[at++] = head;
    buffer[at++] = 2;
    buffer[at++] = packetId >> 8;
    buffer[at++] = packetId & 0xff;
  }
  to.sendRange(buffer, start, at);
}

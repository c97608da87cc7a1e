/** What waits for the next group commit of the embedded log, and how much of it one commit takes. */
import { publicationBytes } from '../../base/publication.ts';
import type { Appended, LogAppend } from './backplane.ts';

/** Bytes of one transaction: more would hold back the acknowledgement of those in it. */
const groupBytesMax = 8 * 1024 * 1024;

export interface WaitingAppend {
  readonly batches: readonly LogAppend[];
  readonly bytes: number;
  readonly resolve: (appended: readonly Appended[]) => void;
  readonly reject: (error: unknown) => void;
}

export function bytesOf(batches: readonly LogAppend[]): number {
  let bytes = 0;
  for (const { publications } of batches) {
    for (const publication of publications) bytes += publicationBytes(publication);
  }
  return bytes;
}

/** Takes the first of them out: one in any case. */
export function takeGroup(all: WaitingAppend[]): WaitingAppend[] {
  let bytes = 0;
  let count = 0;
  for (const waiting of all) {
    if (count > 0 && bytes + waiting.bytes > groupBytesMax) break;
    bytes += waiting.bytes;
    count++;
  }
  return all.splice(0, count);
}

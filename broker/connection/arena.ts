/**
 * Memory for small frames that are about to be written: acknowledgements, and publications with a
 * packet identifier of the client's own. It only ever goes forward, so what was given out can be
 * written by reference, and frames of one client that come one behind the other lie side by side.
 */

/** A slow client pins at most this much for each write that it has not taken. */
const blockBytes = 64 * 1024;

/** Larger requests get memory of their own. */
const reserveBytesMax = blockBytes / 4;

let block = Buffer.allocUnsafeSlow(blockBytes);
let used = 0;

/** The memory and place of the last `reserve`. */
export interface Reserved {
  buffer: Buffer;
  start: number;
}

const reserved: Reserved = { buffer: block, start: 0 };

/** Room for so many bytes; the answer is valid until the next call. */
export function reserve(bytes: number): Readonly<Reserved> {
  if (bytes > reserveBytesMax) {
    reserved.buffer = Buffer.allocUnsafeSlow(bytes);
    reserved.start = 0;
    return reserved;
  }
  if (used + bytes > blockBytes) {
    block = Buffer.allocUnsafeSlow(blockBytes);
    used = 0;
  }
  reserved.buffer = block;
  reserved.start = used;
  used += bytes;
  return reserved;
}

/** What every record of the spool stands in: length and CRC-32 of the body, then the body. */
import { crc32 } from 'node:zlib';

/** Bytes before each body: length and checksum, 32 bits each. */
export const recordHeaderBytes = 8;

/** No body is larger: a length beyond it is damage, not data. */
export const recordBytesMax = 32 * 1024 * 1024;

/** Fills in the header of a record whose body is in its place. */
export function seal(bytes: Buffer): Buffer {
  const body = bytes.subarray(recordHeaderBytes);
  bytes.writeUInt32LE(body.length, 0);
  bytes.writeUInt32LE(crc32(body), 4);
  return bytes;
}

/**
 * Where the record at `at` ends, or null when it is not whole or its checksum is wrong: at the end
 * of the newest segment that is a torn write, anywhere else damage.
 */
export function recordEnd(bytes: Buffer, at: number): number | null {
  if (at + recordHeaderBytes > bytes.length) return null;
  const length = bytes.readUInt32LE(at);
  const end = at + recordHeaderBytes + length;
  if (length === 0 || length > recordBytesMax || end > bytes.length) return null;
  const body = bytes.subarray(at + recordHeaderBytes, end);
  return crc32(body) === bytes.readUInt32LE(at + 4) ? end : null;
}

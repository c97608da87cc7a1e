/**
 * Which worker has the session of a client identifier. Part of the layout on disk: with another
 * answer for the same identifier and count, kept sessions would not be found again.
 * Source: FNV-1a with 32 bits, and the last mixing step of MurmurHash3. FNV alone would not do: its
 * lowest bit is the parity of the bytes' lowest bits, and `a-17-17` has the same as `a-18-18`.
 */

import { assignedClientId } from '../../broker/connect-request.ts';

/** 1 to `workers`. */
export function ownerOf(clientId: Uint8Array, workers: number): number {
  let hash = 0x811c9dc5;
  for (const byte of clientId) hash = Math.imul(hash ^ byte, 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (((hash ^ (hash >>> 16)) >>> 0) % workers) + 1;
}

/** An identifier for a client that has none, so that it comes back to the worker that named it. */
export function assignedClientIdOf(worker: number, workers: number): string {
  for (;;) {
    const clientId = assignedClientId();
    if (ownerOf(Buffer.from(clientId), workers) === worker) return clientId;
  }
}

/** What the configuration and the machine allow connections, in the words of the broker. */
import { readFileSync } from 'node:fs';
import type { Limits } from '../base/config.ts';
import { descriptorsReserved } from '../base/limits.ts';
import type { Logger } from '../base/log.ts';
import type { CloseReason } from './connection/connection-port.ts';
import type { Rates } from './connection/input-valve.ts';
import type { LimitBook, LimitName } from './limit-book.ts';

/** Ends of connections that are a bound's doing. */
const limitsByReason = new Map<CloseReason, LimitName>([
  ['packet-too-large', 'packet_bytes'],
  ['receive-maximum-exceeded', 'receive_maximum'],
  ['topic-alias-invalid', 'topic_aliases'],
  ['too-many-filters', 'filters'],
  ['slow-reader', 'drain_seconds'],
  ['connect-timeout', 'connect_seconds'],
]);

export function limitOf(reason: CloseReason): LimitName | undefined {
  return limitsByReason.get(reason);
}

export interface ConnectionBounds {
  readonly connectionsMax: number;
  readonly rates: Rates | null;
  readonly ofEach: { readonly filtersMax: number; readonly connectMs: number };
}

export function connectionBounds(
  limits: Limits,
  log: Logger,
  limitBook: LimitBook,
): ConnectionBounds {
  return {
    connectionsMax: connectionsMax(limits, log),
    rates: ratesOf(limits, limitBook),
    ofEach: { filtersMax: limits.filters, connectMs: limits.connect_seconds * 1_000 },
  };
}

/** Null when the configuration has no rates. */
function ratesOf(limits: Limits, limitBook: LimitBook): Rates | null {
  const { message_rate: messages, byte_rate: bytes } = limits;
  if (messages === 0 && bytes === 0) return null;
  return {
    messages,
    bytes,
    onSlowed: (by) => limitBook.met(by === 'messages' ? 'message_rate' : 'byte_rate'),
  };
}

/** Connections that leave the descriptors which the spool, the store and the trunk need. */
function connectionsMax(limits: Limits, log: Logger): number {
  const descriptors = descriptorsMax();
  const room = Math.max(1, descriptors - descriptorsReserved);
  if (room >= limits.connections) return limits.connections;
  log.warn(
    { descriptors, reserved: descriptorsReserved, connections: room, wanted: limits.connections },
    'fewer connections than configured, since the process may open few files',
  );
  return room;
}

function descriptorsMax(): number {
  try {
    const found = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'));
    return found === null ? Number.POSITIVE_INFINITY : Number(found[1]);
  } catch {
    // Not a Linux: nothing is known, and Node has raised what there is as far as it goes.
    return Number.POSITIVE_INFINITY;
  }
}

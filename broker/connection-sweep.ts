/**
 * The look at every connection, once a second: who has not read for too long, whose credential is
 * over, who must not be timed out because it is not read; and, when memory is short, who goes first.
 */
import type { Connection } from './connection/connection.ts';
import type { LimitBook } from './limit-book.ts';
import type { MemoryWatch } from './memory-watch.ts';

/** Of those who leave bytes unread, the share that goes in one look, and the least that counts. */
const shedShare = 0.05;
const shedBytesMin = 64 * 1024;

export interface ConnectionSweepParts {
  readonly limitBook: LimitBook;
  readonly memory: MemoryWatch;
}

export class ConnectionSweep {
  readonly #parts: ConnectionSweepParts;
  readonly #drainMs: number;
  readonly #refreshKeepAlive: (connection: Connection) => void;

  constructor(
    parts: ConnectionSweepParts,
    limits: { readonly drain_seconds: number },
    refreshKeepAlive: (connection: Connection) => void,
  ) {
    this.#parts = parts;
    this.#drainMs = limits.drain_seconds * 1_000;
    this.#refreshKeepAlive = refreshKeepAlive;
  }

  /** `wallNow` is milliseconds since the epoch. */
  look(connections: ReadonlySet<Connection>, wallNow: number): void {
    const now = performance.now();
    for (const connection of connections) {
      const { expiresAt } = connection;
      if (expiresAt > 0 && expiresAt <= wallNow) connection.end('credentials-expired');
      else if (connection.blockedMs(now) > this.#drainMs) connection.end('slow-reader');
      // What it sent meanwhile has not been read: it must not be timed out for that.
      else if (connection.isPaused) this.#refreshKeepAlive(connection);
    }
    this.#relieve(connections);
  }

  #relieve(connections: ReadonlySet<Connection>): void {
    const { memory, limitBook } = this.#parts;
    const before = memory.pressure;
    const pressure = memory.look();
    if (before === 'holding' && pressure !== 'holding') {
      for (const connection of [...connections]) connection.release();
    }
    if (pressure !== 'shedding' && pressure !== 'holding') return;
    const behind = [...connections].filter((one) => one.backlogBytes >= shedBytesMin);
    behind.sort((one, other) => other.backlogBytes - one.backlogBytes);
    for (const connection of behind.slice(0, Math.ceil(behind.length * shedShare))) {
      limitBook.met('memory_bytes', { backlog_bytes: connection.backlogBytes });
      connection.end('overloaded');
    }
  }
}

/** The reading side of the embedded backplane, on a connection of its own. */
import type { Logger } from '../../base/log.ts';
import type { Counter, Metrics } from '../../base/metrics.ts';
import type { Publication } from '../../base/publication.ts';
import type { SqlDatabase } from '../../base/sqlite.ts';
import type { LogBatch } from './backplane.ts';
import { decodeBody } from './log-body.ts';
import { selectRetained, selectRun, selectRunSizes } from './log-tables.ts';

interface StoredBody {
  readonly storedAt: number;
  readonly body: Buffer;
}

interface RunRow extends StoredBody {
  readonly firstPosition: number;
  readonly through: number;
}

interface RetainedRow extends StoredBody {
  readonly topic: string;
}

export class LogReader {
  readonly #log: Logger;
  readonly #database: SqlDatabase;
  readonly #unreadable: Counter;

  constructor(parts: { readonly log: Logger; readonly metrics: Metrics }, database: SqlDatabase) {
    this.#log = parts.log;
    this.#database = database;
    this.#unreadable = parts.metrics.counter(
      'trunkline_log_unreadable_total',
      'Rows of the log that were damaged and passed over.',
    );
  }

  async read(
    lane: number,
    after: { readonly position: number; readonly bytesMax: number },
  ): Promise<readonly LogBatch[]> {
    const sizes = await this.#database.all<{ through: number; bytes: number }>(selectRunSizes, [
      lane,
      after.position,
    ]);
    let bytes = 0;
    let last = 0;
    for (const size of sizes) {
      if (last > 0 && bytes + size.bytes > after.bytesMax) break;
      bytes += size.bytes;
      last = size.through;
    }
    if (last === 0) return [];
    const rows = await this.#database.all<RunRow>(selectRun, [lane, after.position, last]);
    return rows.map((row) => {
      const { firstPosition, through } = row;
      return { lane, firstPosition, through, publications: this.#decode(row) };
    });
  }

  async *readRetained(): AsyncIterable<readonly Publication[]> {
    let after = '';
    for (;;) {
      const rows = await this.#database.all<RetainedRow>(selectRetained, [after]);
      const last = rows.at(-1);
      if (last === undefined) return;
      after = last.topic;
      yield rows.flatMap((row) => this.#decode(row));
    }
  }

  close(): Promise<void> {
    return this.#database.close();
  }

  #decode(row: StoredBody): Publication[] {
    try {
      return decodeBody(row.body, row.storedAt);
    } catch (error) {
      // One damaged row must not stop a lane for ever.
      this.#unreadable.add();
      this.#log.error({ err: error, stored_at: row.storedAt }, 'log row unreadable');
      return [];
    }
  }
}

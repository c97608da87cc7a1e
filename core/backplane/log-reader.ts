/** The reading side of the embedded backplane, on a connection of its own. */
import type { Logger } from '../../base/log.ts';
import type { Counter, Metrics } from '../../base/metrics.ts';
import type { Publication } from '../../base/publication.ts';
import type { SourcePlace } from '../../base/source.ts';
import type { SqlDatabase } from '../../base/sqlite.ts';
import type { Sequenced } from '../../proto/wire.ts';
import type { LogBatch, LogPlace } from './backplane.ts';
import { decodeBody } from './log-body.ts';
import * as tables from './log-tables.ts';
import { type BatchSource, storedBatch } from './stored-batch.ts';

/** Rows of the log that one statement looks through for a publication. */
const locatedRows = 2_000;

/** One row has sequences of one batch: far fewer. */
const sequencesOfRowMax = 10_000;

interface StoredBody {
  readonly storedAt: number;
  readonly body: Buffer;
}

interface RunRow extends StoredBody {
  readonly firstPosition: number;
  readonly through: number;
  readonly origin: string;
  readonly epoch: string;
  readonly sourceLane: number;
  readonly firstSequence: number;
}

interface RunStart {
  readonly firstPosition: number;
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
    const sizes = await this.#database.all<{ through: number; bytes: number }>(
      tables.selectRunSizes,
      [lane, after.position],
    );
    let bytes = 0;
    let last = 0;
    for (const size of sizes) {
      if (last > 0 && bytes + size.bytes > after.bytesMax) break;
      bytes += size.bytes;
      last = size.through;
    }
    if (last === 0) return [];
    const rows = await this.#database.all<RunRow>(tables.selectRun, [lane, after.position, last]);
    return rows.map((row) => {
      const { firstPosition, through } = row;
      const items = this.#decode(row);
      const publications = items.map((item) => item.publication);
      const source = sourceOf(row, items);
      return storedBatch({ lane, firstPosition, through, publications, source });
    });
  }

  /** From the newest back, some rows at a time: readers of the log have their turn in between. */
  async locate(place: SourcePlace): Promise<LogPlace | null> {
    const [ends] = await this.#database.all<{ newest: number | null; oldest: number | null }>(
      tables.selectNewestId,
    );
    const oldest = ends?.oldest ?? 1;
    for (let id = ends?.newest ?? 0; id >= oldest; id -= locatedRows) {
      const found = await this.#locateIn({ after: id - locatedRows, through: id }, place);
      if (found !== null) return found;
    }
    return null;
  }

  async #locateIn(
    ids: { readonly after: number; readonly through: number },
    { source, sequence }: SourcePlace,
  ): Promise<LogPlace | null> {
    const { origin, epoch, lane } = source;
    const rows = await this.#database.all<Omit<LogPlace, 'position' | 'publication'> & RunStart>(
      tables.selectPlaces,
      [ids.after, ids.through, origin, epoch, lane, sequence, sequence - sequencesOfRowMax],
    );
    for (const { firstPosition, lane: logLane, storedAt } of rows) {
      const after = { position: firstPosition - 1, bytesMax: 1 };
      const [batch] = await this.read(logLane, after);
      const index =
        batch?.publications.findIndex((_, i) => batch.placeAt(i)?.sequence === sequence) ?? -1;
      const publication = batch?.publications[index];
      if (publication === undefined) continue;
      return { lane: logLane, position: firstPosition + index, storedAt, publication };
    }
    return null;
  }

  async *readRetained(): AsyncIterable<readonly Publication[]> {
    let after = '';
    for (;;) {
      const rows = await this.#database.all<RetainedRow>(tables.selectRetained, [after]);
      const last = rows.at(-1);
      if (last === undefined) return;
      after = last.topic;
      yield rows.flatMap((row) => this.#decode(row).map((item) => item.publication));
    }
  }

  close(): Promise<void> {
    return this.#database.close();
  }

  #decode(row: StoredBody): Sequenced[] {
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

function sourceOf(row: RunRow, items: readonly Sequenced[]): BatchSource | null {
  const { origin, epoch, sourceLane: lane, firstSequence } = row;
  if (firstSequence === 0) return null;
  // Rows of before have the first sequence alone: theirs have no gaps.
  const sequences = items.map(({ sequence }, i) => sequence || firstSequence + i);
  return { lane: { origin, epoch, lane }, sequences };
}

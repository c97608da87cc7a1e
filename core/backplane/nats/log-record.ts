/**
 * The identity of the log, which all cores share: a record beside the streams that says which they
 * were. When one of them is not the same any more, or ends before what was told to be durable, the
 * record is written anew: edges see another log, and send what they retain.
 */
import { randomUUID } from 'node:crypto';
import { laneCount } from '../../../base/limits.ts';
import type { Revised } from '../backplane.ts';
import type { Names } from './names.ts';
import type { StreamInfo, Streams } from './streams.ts';
import type { Table } from './table.ts';

export interface LogRecord {
  readonly epoch: string;
  /** Grows from epoch to epoch. */
  readonly generation: number;
  /** Of each lane: when its stream was made. */
  readonly created: readonly string[];
  /** The last message of each lane before the epoch began. */
  readonly base: readonly number[];
  /** The first message of each lane that can be relied on. */
  readonly oldest: readonly number[];
}

const key = 'log';

export class LogRecords {
  readonly #table: Table<LogRecord>;
  readonly #streams: Streams;
  readonly #names: Names;

  constructor(table: Table<LogRecord>, streams: Streams, names: Names) {
    this.#table = table;
    this.#streams = streams;
    this.#names = names;
  }

  read(): Promise<Revised<LogRecord> | null> {
    return this.#table.get(key);
  }

  /** Null for streams that are not there. */
  infos(): Promise<(StreamInfo | null)[]> {
    return Promise.all(
      Array.from({ length: laneCount }, (_, lane) => {
        return this.#streams.infoOrNull(this.#names.logStream(lane));
      }),
    );
  }

  /** Writes the record again that was lost with its stream, or set back with it. */
  async restore(record: LogRecord, revision: number): Promise<void> {
    await this.#table.put(key, record, revision);
  }

  /** A new epoch over the streams as they are; of several cores that come to it, one does it.
   * `rolledBack`: lanes whose end was lost, which may have gaps before now. */
  async renew(
    before: Revised<LogRecord> | null,
    rolledBack: ReadonlySet<number> = new Set(),
  ): Promise<LogRecord> {
    const infos = await this.infos();
    const base = infos.map((info) => info?.state.last_seq ?? 0);
    const created = infos.map((info) => info?.created ?? '');
    const old = before?.value;
    const record: LogRecord = {
      epoch: randomUUID(),
      generation: Math.max((old?.generation ?? 0) + 1, Date.now()),
      created,
      base,
      oldest: base.map((last, lane) => {
        if (rolledBack.has(lane)) return last + 1;
        return old?.created[lane] === created[lane] ? (old?.oldest[lane] ?? 1) : 1;
      }),
    };
    const revision = await this.#table.put(key, record, before?.revision ?? 0);
    if (revision !== null) return record;
    const theirs = await this.read();
    return theirs === null ? this.renew(null, rolledBack) : theirs.value;
  }
}

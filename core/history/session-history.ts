/**
 * What happened to sessions in the last days, on disk: who connected, was refused, was taken over or
 * lost its connection, when and why. Written many at once, behind what happens; bounded by time and
 * by bytes, the oldest go first. A projection: a power cut may cost its last second.
 */
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import type { Counter, Metrics } from '../../base/metrics.ts';
import { openSqlite, type SqlDatabase, type SqlRow, type SqlValue } from '../../base/sqlite.ts';
import type {
  ListSessionEventsRequest,
  ListSessionEventsResponse,
} from '../../proto/gen/trunkline/v1/fleet.ts';
import type { SessionEvent } from '../../proto/gen/trunkline/v1/session.ts';
import { checkedPageSize } from '../fleet/page-size.ts';
import { PageTokens } from '../fleet/page-tokens.ts';
import { bindFilter } from '../query/bind.ts';
import { parseFilter } from '../query/parse.ts';
import { sqlOf } from './condition-sql.ts';
import { eventCatalog, eventFields } from './event-fields.ts';

const columns = eventFields.map(({ column }) => column).join(', ');

const createTables = `CREATE TABLE IF NOT EXISTS events (id INTEGER PRIMARY KEY AUTOINCREMENT,
  at_ms INTEGER NOT NULL, client_id TEXT NOT NULL, kind TEXT NOT NULL, reason TEXT NOT NULL,
  by_whom TEXT NOT NULL, edge_id TEXT NOT NULL, gateway_id TEXT NOT NULL, region TEXT NOT NULL,
  listener TEXT NOT NULL, protocol TEXT NOT NULL, remote_address TEXT NOT NULL,
  username TEXT NOT NULL, connected_ms INTEGER NOT NULL);
  CREATE INDEX IF NOT EXISTS events_at ON events (at_ms, id);
  CREATE INDEX IF NOT EXISTS events_client ON events (client_id, at_ms, id);`;
const insertHead = `INSERT INTO events (${columns}) VALUES `;
const insertRow = `(${eventFields.map(() => '?').join(', ')})`;
const selectOldest = 'SELECT COALESCE(MIN(at_ms), 0) AS at_ms FROM events';
const selectBytes = `SELECT (page_count - freelist_count) * page_size AS bytes
  FROM pragma_page_count(), pragma_freelist_count(), pragma_page_size()`;
const deleteBefore = `DELETE FROM events WHERE id IN
  (SELECT id FROM events WHERE at_ms < ? ORDER BY at_ms LIMIT ?)`;
const deleteOldest = `DELETE FROM events WHERE id IN
  (SELECT id FROM events ORDER BY at_ms, id LIMIT ?)`;
const selectTooOld = 'SELECT 1 AS one FROM events WHERE at_ms < ? LIMIT 1';

const flushMs = 500;
const trimMs = 30_000;
const rowsOfInsert = 500;
/** Of one delete: longer ones would hold up queries. */
const rowsOfDelete = 5_000;
/** Deletes in a row, so that a bound that was lowered does not keep the disk busy for hours. */
const deletesMax = 40;
/** What may wait for the disk: seconds of a fleet that reconnects. */
const waitingMax = 50_000;

export interface HistoryOptions {
  readonly file: string;
  readonly keptSeconds: number;
  readonly bytesMax: number;
}

interface PageEnd {
  readonly atMs: number;
  readonly id: number;
  readonly now: number;
}

export class SessionHistory {
  readonly #database: SqlDatabase;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #options: HistoryOptions;
  readonly #tokens = new PageTokens<PageEnd>();
  readonly #kept: Counter;
  readonly #dropped: Counter;
  readonly #stops: (() => void)[];
  #waiting: SessionEvent[] = [];
  #writing: Promise<void> = Promise.resolve();
  #isClosed = false;

  private constructor(
    parts: { clock: Clock; log: Logger; metrics: Metrics },
    database: SqlDatabase,
    options: HistoryOptions,
  ) {
    this.#clock = parts.clock;
    this.#log = parts.log;
    this.#database = database;
    this.#options = options;
    this.#kept = parts.metrics.counter(
      'trunkline_history_events_total',
      'Events of sessions that the history has taken.',
    );
    this.#dropped = parts.metrics.counter(
      'trunkline_history_dropped_total',
      'Events of sessions that the history did not take: its disk is too slow, or fails.',
    );
    this.#stops = [
      parts.clock.every(flushMs, () => void this.flush()),
      parts.clock.every(trimMs, () => void this.trim()),
    ];
  }

  /** Throws `data-unwritable`. */
  static async open(
    parts: { clock: Clock; log: Logger; metrics: Metrics },
    options: HistoryOptions,
  ): Promise<SessionHistory> {
    const database = await openSqlite(options.file, { synchronous: 'NORMAL' });
    await database.exec(createTables);
    return new SessionHistory(parts, database, options);
  }

  /** Never waits. */
  note(events: readonly SessionEvent[]): void {
    if (this.#isClosed) return;
    if (this.#waiting.length + events.length > waitingMax) {
      this.#dropped.add(events.length);
      return;
    }
    this.#waiting.push(...events);
  }

  /** Resolves when everything that was noted is written, or given up. */
  flush(): Promise<void> {
    this.#writing = this.#writing.then(() => this.#write());
    return this.#writing;
  }

  /** Throws `query-invalid`. */
  async list(
    query: ListSessionEventsRequest,
  ): Promise<Omit<ListSessionEventsResponse, 'asOfMs' | 'complete' | 'silentEdges'>> {
    const pageSize = checkedPageSize(query.pageSize);
    const name = ['history', query.filter, String(query.oldestFirst)];
    const after = query.pageToken === '' ? null : this.#tokens.read(name, query.pageToken);
    const now = after?.now ?? this.#clock.now();
    const { filter: text } = query;
    const where = sqlOf(bindFilter(parseFilter(text), eventCatalog, { text, now }));
    await this.flush();
    const values: SqlValue[] = [...where.values];
    const conditions = [where.text];
    if (after !== null) {
      conditions.push(`(at_ms, id) ${query.oldestFirst ? '>' : '<'} (?, ?)`);
      values.push(after.atMs, after.id);
    }
    const direction = query.oldestFirst ? 'ASC' : 'DESC';
    const rows = await this.#database.all<SqlRow & { id: number; at_ms: number }>(
      `SELECT id, ${columns} FROM events WHERE ${conditions.join(' AND ')}
        ORDER BY at_ms ${direction}, id ${direction} LIMIT ?`,
      [...values, pageSize + 1],
    );
    const last = rows.length > pageSize ? rows[pageSize - 1] : undefined;
    return {
      events: rows.slice(0, pageSize).map(eventOf),
      nextPageToken:
        last === undefined ? '' : this.#tokens.issue(name, { atMs: last.at_ms, id: last.id, now }),
      keptSinceMs: await this.keptSince(),
    };
  }

  /** When the oldest event happened; 0 when there is none. */
  async keptSince(): Promise<number> {
    const [oldest] = await this.#database.all<{ at_ms: number }>(selectOldest);
    return oldest?.at_ms ?? 0;
  }

  /** Lets go of what is too old, or too much. */
  async trim(): Promise<void> {
    try {
      await this.#trimByTime();
      await this.#trimByBytes();
    } catch (error) {
      if (!this.#isClosed) this.#log.error({ err: error }, 'history cannot be trimmed');
    }
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    for (const stop of this.#stops) stop();
    await this.flush();
    this.#isClosed = true;
    await this.#database.close();
  }

  async #write(): Promise<void> {
    while (this.#waiting.length > 0) {
      const some = this.#waiting.splice(0, rowsOfInsert);
      const values = some.flatMap((event) => eventFields.map(({ key }) => event[key] as SqlValue));
      try {
        await this.#database.run(insertHead + some.map(() => insertRow).join(', '), values);
        this.#kept.add(some.length);
      } catch (error) {
        this.#dropped.add(some.length);
        this.#log.error({ err: error, events: some.length }, 'history cannot be written');
      }
    }
  }

  async #trimByTime(): Promise<void> {
    const oldest = this.#clock.now() - this.#options.keptSeconds * 1_000;
    for (let deletes = 0; deletes < deletesMax; deletes++) {
      const [one] = await this.#database.all(selectTooOld, [oldest]);
      if (one === undefined) return;
      await this.#database.run(deleteBefore, [oldest, rowsOfDelete]);
    }
  }

  async #trimByBytes(): Promise<void> {
    for (let deletes = 0; deletes < deletesMax; deletes++) {
      const [size] = await this.#database.all<{ bytes: number }>(selectBytes);
      if ((size?.bytes ?? 0) <= this.#options.bytesMax) return;
      await this.#database.run(deleteOldest, [rowsOfDelete]);
    }
  }
}

function eventOf(row: SqlRow): SessionEvent {
  const event: Record<string, unknown> = {};
  for (const { column, key } of eventFields) event[key] = row[column];
  return event as unknown as SessionEvent;
}

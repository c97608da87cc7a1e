/** The SQL of the embedded backplane, and the statements that carry many rows. */
import { storeRowsMax } from '../../base/limits.ts';
import type { SqlDatabase, SqlValue } from '../../base/sqlite.ts';
import type { CommitPlan, LogRow } from './commit-plan.ts';
import { type Statement, transactionText } from './sql-text.ts';

export const schema = `
  CREATE TABLE IF NOT EXISTS meta (
    name TEXT PRIMARY KEY, value TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS log (
    id INTEGER PRIMARY KEY, lane INTEGER NOT NULL, first_position INTEGER NOT NULL,
    count INTEGER NOT NULL, through INTEGER NOT NULL, origin TEXT NOT NULL, epoch TEXT NOT NULL,
    first_sequence INTEGER NOT NULL, stored_at INTEGER NOT NULL, bytes INTEGER NOT NULL,
    body BLOB NOT NULL, source_lane INTEGER
  ) STRICT;
  CREATE UNIQUE INDEX IF NOT EXISTS log_by_position ON log (lane, through, first_position, bytes);
  CREATE TABLE IF NOT EXISTS lane_head (
    lane INTEGER PRIMARY KEY, through INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE IF NOT EXISTS edge_sequence (
    edge_id TEXT NOT NULL, epoch TEXT NOT NULL, lane INTEGER NOT NULL, through INTEGER NOT NULL,
    PRIMARY KEY (edge_id, epoch, lane)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS retained (
    topic TEXT PRIMARY KEY, stored_at INTEGER NOT NULL, body BLOB NOT NULL
  ) STRICT;`;

/** A log of before has no column for it: its edges had the lanes of the log. */
export const selectSourceLane = `SELECT name FROM pragma_table_info('log') WHERE name = 'source_lane'`;
export const addSourceLane = 'ALTER TABLE log ADD COLUMN source_lane INTEGER';

export const selectMeta = 'SELECT value FROM meta WHERE name = ?';
export const insertMeta = 'INSERT INTO meta (name, value) VALUES (?, ?)';
export const updateMeta = 'UPDATE meta SET value = ? WHERE name = ?';
export const selectVersion = 'SELECT sqlite_version() AS version';
export const selectHeads = 'SELECT lane, through FROM lane_head';
export const selectOldest =
  'SELECT lane, MIN(first_position) AS oldest, SUM(bytes) AS bytes FROM log GROUP BY lane';
export const selectSources = `SELECT edge_id AS edgeId, epoch, lane, through FROM edge_sequence`;
export const selectRunSizes = `SELECT through, bytes FROM log
  WHERE lane = ? AND through > ? ORDER BY through LIMIT 64`;
export const selectRun = `SELECT first_position AS firstPosition, through, stored_at AS storedAt,
  origin, epoch, COALESCE(source_lane, lane) AS sourceLane, first_sequence AS firstSequence, body
  FROM log WHERE lane = ? AND through > ? AND through <= ? ORDER BY through`;
export const selectNewestId = 'SELECT MAX(id) AS newest, MIN(id) AS oldest FROM log';
export const selectPlaces = `SELECT lane, first_position AS firstPosition, stored_at AS storedAt
  FROM log WHERE id > ? AND id <= ? AND origin = ? AND epoch = ? AND COALESCE(source_lane, lane) = ?
  AND first_sequence <= ? AND first_sequence > ? ORDER BY id DESC`;
export const selectRetained = `SELECT topic, stored_at AS storedAt, body FROM retained
  WHERE topic > ? ORDER BY topic LIMIT 500`;
export const selectTrimmable = `SELECT id, lane, through, stored_at AS storedAt, bytes FROM log
  WHERE id > ? ORDER BY id LIMIT 500`;
export const deleteThrough = 'DELETE FROM log WHERE id <= ?';

const insertLog = `INSERT INTO log (lane, first_position, count, through, origin, epoch,
  first_sequence, stored_at, bytes, body, source_lane) VALUES `;
const upsertHead = 'INSERT INTO lane_head (lane, through) VALUES ';
const upsertSource = 'INSERT INTO edge_sequence (edge_id, epoch, lane, through) VALUES ';
const deleteOldSources = 'DELETE FROM edge_sequence WHERE edge_id = ? AND epoch <> ?';
const upsertRetained = 'INSERT INTO retained (topic, stored_at, body) VALUES ';
const onHeadConflict = ' ON CONFLICT (lane) DO UPDATE SET through = excluded.through';
const onSourceConflict =
  ' ON CONFLICT (edge_id, epoch, lane) DO UPDATE SET through = excluded.through';
const onRetainedConflict =
  ' ON CONFLICT (topic) DO UPDATE SET stored_at = excluded.stored_at, body = excluded.body';
const deleteRetained = 'DELETE FROM retained WHERE topic IN ';

/** What a row takes beside its body: the other columns and its share of the pages. */
const rowOverheadBytes = 96;

export function rowBytes(row: LogRow): number {
  return row.body.length + rowOverheadBytes;
}

/** Bytes that go to the disk as one text; more go as parameters, which are not copied. */
const textBytesMax = 16 * 1024;

/** Writes a plan in one transaction; rolls back and rethrows when any of it fails. */
export async function writePlan(database: SqlDatabase, plan: CommitPlan): Promise<void> {
  const statements = statementsOf(plan);
  try {
    if (isSmall(statements)) await database.exec(transactionText(statements));
    else await writeOneByOne(database, statements);
  } catch (error) {
    // The first failure tells what is wrong; SQLite may have rolled back by itself already.
    await database.exec('ROLLBACK').catch(() => {});
    throw error;
  }
}

async function writeOneByOne(
  database: SqlDatabase,
  statements: readonly Statement[],
): Promise<void> {
  await database.exec('BEGIN IMMEDIATE');
  for (const { sql, params } of statements) await database.run(sql, params);
  await database.exec('COMMIT');
}

function isSmall(statements: readonly Statement[]): boolean {
  let bytes = 0;
  for (const { params } of statements) {
    for (const value of params) bytes += typeof value === 'number' ? 8 : (value?.length ?? 0);
    if (bytes > textBytesMax) return false;
  }
  return true;
}

function statementsOf(plan: CommitPlan): Statement[] {
  const statements = insertsOf({ head: insertLog, tail: '' }, plan.rows.map(logValues));
  const heads = plan.heads.map((through, lane) => [lane, through]);
  statements.push(...insertsOf({ head: upsertHead, tail: onHeadConflict }, heads));
  for (const params of plan.successors) statements.push({ sql: deleteOldSources, params });
  const sources = [...plan.sources.values()].map(({ edgeId, epoch, lane, through }) => {
    return [edgeId, epoch, lane, through];
  });
  statements.push(...insertsOf({ head: upsertSource, tail: onSourceConflict }, sources));
  statements.push(...retainedOf(plan));
  return statements;
}

function retainedOf(plan: CommitPlan): Statement[] {
  const kept: SqlValue[][] = [];
  const gone: string[] = [];
  for (const [topic, body] of plan.retained) {
    if (body === null) gone.push(topic);
    else kept.push([topic, plan.storedAt, body]);
  }
  const statements = insertsOf({ head: upsertRetained, tail: onRetainedConflict }, kept);
  for (let at = 0; at < gone.length; at += storeRowsMax) {
    const params = gone.slice(at, at + storeRowsMax);
    statements.push({ sql: `${deleteRetained}${marks(params.length)}`, params });
  }
  return statements;
}

function logValues(row: LogRow): SqlValue[] {
  return [
    row.lane,
    row.firstPosition,
    row.count,
    row.through,
    row.origin,
    row.epoch,
    row.firstSequence,
    row.storedAt,
    rowBytes(row),
    row.body,
    row.sourceLane,
  ];
}

function insertsOf(
  statement: { readonly head: string; readonly tail: string },
  rows: readonly (readonly SqlValue[])[],
): Statement[] {
  const statements: Statement[] = [];
  for (let at = 0; at < rows.length; at += storeRowsMax) {
    const chunk = rows.slice(at, at + storeRowsMax);
    const places = chunk.map((row) => marks(row.length)).join(',');
    const sql = `${statement.head}${places}${statement.tail}`;
    statements.push({ sql, params: chunk.flat() });
  }
  return statements;
}

function marks(count: number): string {
  return `(${new Array(count).fill('?').join(',')})`;
}

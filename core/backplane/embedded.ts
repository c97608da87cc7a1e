/**
 * The backplane of a single core: SQLite with a group commit. Everything that waits is written in
 * one transaction, so that one fsync carries many batches; one connection writes, another reads.
 */
import type { Clock } from '../../base/clock.ts';
import { TrunklineError } from '../../base/errors.ts';
import { laneCount } from '../../base/limits.ts';
import type { Logger } from '../../base/log.ts';
import type { Counter, Latency, Metrics } from '../../base/metrics.ts';
import type { Publication } from '../../base/publication.ts';
import { openSqlite, type SqlDatabase } from '../../base/sqlite.ts';
import { bytesOf, takeGroup, type WaitingAppend } from './append-group.ts';
import type {
  Appended,
  Backplane,
  LogAppend,
  LogBatch,
  LogSighting,
  TrimOptions,
} from './backplane.ts';
import { CommitPlan } from './commit-plan.ts';
import { checkVersion, epochOf, renewEpoch } from './log-identity.ts';
import { LogReader } from './log-reader.ts';
import * as tables from './log-tables.ts';
import { SourceBook, type SourceRow } from './source-book.ts';

export interface EmbeddedParts {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly clock: Clock;
}

export class EmbeddedBackplane implements Backplane {
  readonly fault = '';
  /** Two cores cannot have one file open. */
  readonly peers = null;
  readonly tables = null;
  readonly #parts: EmbeddedParts;
  readonly #writer: SqlDatabase;
  readonly #reader: LogReader;
  readonly #heads: number[] = new Array(laneCount).fill(0);
  readonly #oldest: number[] = new Array(laneCount).fill(1);
  readonly #sources = new SourceBook();
  readonly #listeners: ((batches: readonly LogBatch[]) => void)[] = [];
  readonly #epochListeners: ((what: 'epoch') => void)[] = [];
  readonly #commits: Counter;
  readonly #commitFailures: Counter;
  readonly #commitTime: Latency;
  #logEpoch: string;
  #bytes = 0;
  #waiting: WaitingAppend[] = [];
  #committing: Promise<void> | null = null;
  /** Trimming and committing take turns on the writer. */
  #writing: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | null = null;

  private constructor(
    parts: EmbeddedParts,
    databases: { readonly writer: SqlDatabase; readonly reader: SqlDatabase },
    logEpoch: string,
  ) {
    this.#parts = parts;
    this.#writer = databases.writer;
    this.#reader = new LogReader(parts, databases.reader);
    this.#logEpoch = logEpoch;
    const { metrics } = parts;
    this.#commits = metrics.counter('trunkline_log_commits_total', 'Group commits of the log.');
    this.#commitFailures = metrics.counter(
      'trunkline_log_commit_failures_total',
      'Group commits that the disk refused; what they held was acknowledged to nobody.',
    );
    this.#commitTime = metrics.latency('trunkline_log_commit_seconds', 'Time of a group commit.');
    metrics.gauge('trunkline_log_bytes', 'Bytes of the log on disk.', () => this.#bytes);
  }

  /** Opens or creates the file. Throws `data-unwritable` or `store-failing`. */
  static async open(parts: EmbeddedParts, options: { file: string }): Promise<EmbeddedBackplane> {
    const writer = await openSqlite(options.file, { synchronous: 'FULL' });
    try {
      await checkVersion(writer);
      await writer.exec(tables.schema);
      const columns = await writer.all(tables.selectSourceLane);
      if (columns.length === 0) await writer.exec(tables.addSourceLane);
      const logEpoch = await epochOf(writer);
      const reader = await openSqlite(options.file, { synchronous: 'FULL' });
      const backplane = new EmbeddedBackplane(parts, { writer, reader }, logEpoch);
      await backplane.#load();
      return backplane;
    } catch (error) {
      await writer.close();
      throw error;
    }
  }

  get logEpoch(): string {
    return this.#logEpoch;
  }

  renewEpoch(seen: LogSighting): Promise<void> {
    return this.#exclusively(async () => {
      const { lane, logEpoch, position } = seen;
      if (logEpoch !== this.#logEpoch || position <= this.head(lane)) return;
      this.#logEpoch = await renewEpoch(this.#writer);
      for (const listener of this.#epochListeners) listener('epoch');
    });
  }

  head(lane: number): number {
    return this.#heads[lane] ?? 0;
  }

  oldest(lane: number): number {
    return this.#oldest[lane] ?? 1;
  }

  openSource(
    source: { readonly edgeId: string; readonly epoch: string },
    lane: number,
    oldestSequence: number,
  ): number {
    const known = this.#sources.highest(source, lane);
    if (known !== undefined && known < oldestSequence - 1) {
      const { edgeId: edge } = source;
      const fields = { edge, lane, first: known + 1, through: oldestSequence - 1 };
      this.#parts.log.warn(fields, 'edge sequences were acknowledged that this log does not have');
    }
    return this.#sources.open(source, lane, oldestSequence);
  }

  /** Of faults there are none: what fails is told to who appends. */
  onChanged(listener: (what: 'epoch') => void): void {
    this.#epochListeners.push(listener);
  }

  async start(): Promise<void> {}

  async caughtUp(): Promise<void> {}

  missing(after: number, first: number): number {
    return first - 1 - after;
  }

  onAppended(listener: (batches: readonly LogBatch[]) => void): void {
    this.#listeners.push(listener);
  }

  append(batches: readonly LogAppend[]): Promise<readonly Appended[]> {
    if (this.#closing !== null) {
      return Promise.reject(new TrunklineError('store-failing', 'The log is closed.'));
    }
    const bytes = bytesOf(batches);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ batches, bytes, resolve, reject });
      this.#committing ??= new Promise((done) => {
        // After the turn's other streams were read, so that one fsync covers them all.
        setImmediate(() => done(this.#commitAll()));
      });
    });
  }

  async settled(): Promise<void> {
    await this.#committing;
  }

  read: Backplane['read'] = (lane, after) => this.#reader.read(lane, after);

  locate: Backplane['locate'] = (place) => this.#reader.locate(place);

  epochOf: Backplane['epochOf'] = (edgeId) => this.#sources.epochOf(edgeId);

  readRetained(): AsyncIterable<readonly Publication[]> {
    return this.#reader.readRetained();
  }

  /** Goes by the order of storing, so a lane that a reader holds also holds what came after it. */
  trim(options: TrimOptions): Promise<number> {
    if (this.#closing !== null) return Promise.resolve(0);
    return this.#exclusively(() => this.#trim(options));
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#committing;
    await this.#writing;
    await this.#reader.close();
    await this.#writer.close();
  }

  async #load(): Promise<void> {
    const writer = this.#writer;
    const heads = await writer.all<{ lane: number; through: number }>(tables.selectHeads);
    for (const { lane, through } of heads) {
      this.#heads[lane] = through;
      this.#oldest[lane] = through + 1;
    }
    const lanes = await writer.all<{ lane: number; oldest: number; bytes: number }>(
      tables.selectOldest,
    );
    for (const { lane, oldest, bytes } of lanes) {
      this.#oldest[lane] = oldest;
      this.#bytes += bytes;
    }
    this.#sources.load(await writer.all<SourceRow>(tables.selectSources));
  }

  async #commitAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      const group = takeGroup(this.#waiting);
      await this.#exclusively(() => this.#commit(group));
    }
    this.#committing = null;
  }

  /** Settles everyone in the group; never rejects. */
  async #commit(group: readonly WaitingAppend[]): Promise<void> {
    const startedAt = this.#parts.clock.elapsed();
    const plan = new CommitPlan({
      heads: this.#heads,
      sources: this.#sources,
      now: this.#parts.clock.now(),
      logEpoch: this.#logEpoch,
    });
    const taken: { waiting: WaitingAppend; appended: Appended[] }[] = [];
    for (const waiting of group) {
      try {
        taken.push({ waiting, appended: waiting.batches.map((batch) => plan.add(batch)) });
      } catch (error) {
        waiting.reject(error);
      }
    }
    try {
      if (plan.rows.length > 0) await tables.writePlan(this.#writer, plan);
    } catch (error) {
      this.#commitFailures.add();
      this.#parts.log.error({ err: error, batches: plan.rows.length }, 'log commit failed');
      for (const { waiting } of taken) waiting.reject(error);
      return;
    }
    plan.adopt();
    for (const row of plan.rows) this.#bytes += tables.rowBytes(row);
    this.#commits.add();
    this.#commitTime.record((this.#parts.clock.elapsed() - startedAt) * 1_000);
    for (const { waiting, appended } of taken) {
      for (const [i, batch] of waiting.batches.entries())
        batch.onDurable?.(appended[i] as Appended);
    }
    for (const listener of this.#listeners) listener(plan.batches);
    for (const { waiting, appended } of taken) waiting.resolve(appended);
  }

  async #trim(options: TrimOptions): Promise<number> {
    const writer = this.#writer;
    let freed = 0;
    let after = 0;
    const oldest = [...this.#oldest];
    for (;;) {
      const rows = await writer.all<TrimmableRow>(tables.selectTrimmable, [after]);
      const kept = rows.findIndex((row) => {
        const isOverfull = this.#bytes - freed > options.bytesMax;
        const isOld = row.storedAt < options.before && row.through <= options.readThrough(row.lane);
        if (freed >= options.stepBytes || (!isOverfull && !isOld)) return true;
        freed += row.bytes;
        after = row.id;
        oldest[row.lane] = row.through + 1;
        return false;
      });
      if (kept >= 0 || rows.length === 0) break;
    }
    if (freed === 0) return 0;
    await writer.run(tables.deleteThrough, [after]);
    this.#bytes -= freed;
    for (const [lane, position] of oldest.entries()) this.#oldest[lane] = position;
    return freed;
  }

  #exclusively<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#writing.then(work);
    // The next in turn waits for the end of this one, however it ends.
    this.#writing = turn.catch(() => {});
    return turn;
  }
}

interface TrimmableRow {
  readonly id: number;
  readonly lane: number;
  readonly through: number;
  readonly storedAt: number;
  readonly bytes: number;
}

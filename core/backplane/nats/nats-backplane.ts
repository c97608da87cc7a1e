/**
 * The backplane of many cores, on NATS JetStream. Every core reads the stream of each lane in full and
 * comes to the same positions, sources and retained messages; what a core appends is durable when it
 * reads it there, because a stream shows what a quorum of its servers has, and nothing else.
 *
 * In the order in which a publication meets them: lane-writer, follower, lane-reader, source-marks,
 * retained-keeper; log-history reads what is older, engine-watch looks for losses, peers carry QoS 0.
 */
import type { Clock } from '../../../base/clock.ts';
import { TrunklineError } from '../../../base/errors.ts';
import { laneCount } from '../../../base/limits.ts';
import type { Logger } from '../../../base/log.ts';
import type { Metrics } from '../../../base/metrics.ts';
import type { Publication } from '../../../base/publication.ts';
import type { Appended, Backplane, LogAppend, LogBatch, SharedTables } from '../backplane.ts';
import { Appends } from './appends.ts';
import { EngineWatch } from './engine-watch.ts';
import { LogHistory } from './log-history.ts';
import { LogLanes } from './log-lanes.ts';
import { firstPositionOf, type NatsBatch, seqOfPosition } from './log-message.ts';
import type { NatsOptions } from './nats-options.ts';
import { type NatsSession, openSession } from './nats-session.ts';
import { NatsPeers } from './peers.ts';
import { SourceMarks } from './source-marks.ts';
import { Table } from './table.ts';

export interface NatsParts {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly clock: Clock;
}

export class NatsBackplane implements Backplane {
  readonly peers: NatsPeers;
  readonly tables: SharedTables;
  readonly #session: NatsSession;
  readonly #marks: SourceMarks;
  readonly #lanes: LogLanes;
  readonly #history: LogHistory;
  readonly #watch: EngineWatch;
  readonly #listeners: ((batches: readonly LogBatch[]) => void)[] = [];
  readonly #changeListeners: ((what: 'fault' | 'epoch') => void)[] = [];
  readonly #appends: Appends;
  #closing: Promise<void> | null = null;

  private constructor(parts: NatsParts, session: NatsSession) {
    this.#session = session;
    this.#marks = new SourceMarks();
    const { link, names } = session;
    const common = { ...parts, ...session, marks: this.#marks };
    this.#lanes = new LogLanes(common, {
      take: (batch) => this.#taken(batch),
      suspect: () => this.#watch.look(),
    });
    this.#appends = new Appends({ ...parts, lanes: this.#lanes, marks: this.#marks });
    const onFault = (error: unknown) => this.#lanes.unreadable(error);
    this.#history = new LogHistory({ link, names, onFault });
    this.#watch = new EngineWatch(
      { ...common, lanes: this.#lanes },
      { onFault: () => this.#tell('fault'), onLost: () => this.#renewed() },
    );
    this.tables = { table: (name) => new Table(common, name) };
    this.peers = new NatsPeers({ ...parts, link, names }, session.node);
  }

  /** Throws `unreachable`, `not-authorized`, `unsupported`, `config-invalid` or `store-failing`, each
   * with a sentence. */
  static async open(parts: NatsParts, options: NatsOptions): Promise<NatsBackplane> {
    const session = await openSession(parts, options);
    return new NatsBackplane(parts, session);
  }

  get logEpoch(): string {
    return this.#lanes.record.epoch;
  }

  get fault(): string {
    return this.#watch.fault;
  }

  onChanged(listener: (what: 'fault' | 'epoch') => void): void {
    this.#changeListeners.push(listener);
  }

  onAppended(listener: (batches: readonly LogBatch[]) => void): void {
    this.#listeners.push(listener);
  }

  async start(retained: () => Iterable<Publication>): Promise<void> {
    await this.#lanes.start();
    await this.caughtUp();
    this.#watch.start(retained);
    this.peers.start();
  }

  head(lane: number): number {
    // An edge may have more lanes upwards than the log has.
    const seq = lane < laneCount ? this.#lanes.lane(lane).reader.seq : 0;
    return seq === 0 ? 0 : firstPositionOf(seq + 1) - 1;
  }

  oldest(lane: number): number {
    return firstPositionOf(Math.max(1, this.#lanes.oldest(lane)));
  }

  missing(after: number, first: number): number {
    return Math.max(0, seqOfPosition(first) - seqOfPosition(after) - 1);
  }

  caughtUp: Backplane['caughtUp'] = () => this.#lanes.caughtUp();

  renewEpoch: Backplane['renewEpoch'] = (seen) => this.#watch.renewEpoch(seen);

  openSource: Backplane['openSource'] = (source, lane, oldestSequence) =>
    this.#appends.openSource(source, lane, oldestSequence);

  append(batches: readonly LogAppend[]): Promise<readonly Appended[]> {
    if (this.#closing !== null) {
      return Promise.reject(new TrunklineError('store-failing', 'The log is closed.'));
    }
    return Promise.all(batches.map((batch) => this.#appends.append(batch)));
  }

  settled(): Promise<void> {
    return this.#lanes.settled();
  }

  async read(
    lane: number,
    after: { readonly position: number; readonly bytesMax: number },
  ): Promise<readonly LogBatch[]> {
    const first = Math.max(
      seqOfPosition(after.position + 1),
      await this.#lanes.refreshedOldest(lane),
    );
    const { record } = this.#lanes;
    const base = record.base[lane] ?? 0;
    return this.#history.read(lane, {
      first,
      last: this.#lanes.lane(lane).reader.seq,
      bytesMax: after.bytesMax,
      counts: ({ logEpoch, seq }) => seq <= base || logEpoch === record.epoch,
    });
  }

  locate: Backplane['locate'] = async (place) => {
    for (let lane = 0; lane < laneCount; lane++) {
      const first = Math.max(1, this.#lanes.oldest(lane));
      const range = { first, last: this.#lanes.lane(lane).reader.seq };
      const found = await this.#history.locate(lane, range, place);
      if (found !== null) return found;
    }
    return null;
  };

  epochOf(edgeId: string): string | null {
    return this.#marks.epochOf(edgeId);
  }

  async *readRetained(): AsyncIterable<readonly Publication[]> {
    yield [...(await this.#session.retained.load())];
  }

  /** The streams' own bounds do that. */
  async trim(): Promise<number> {
    return 0;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.peers.close();
    await this.#watch.close();
    this.#lanes.close();
    await this.#session.link.close();
  }

  #taken(batch: NatsBatch): void {
    for (const listener of this.#listeners) listener([batch]);
  }

  #renewed(): void {
    this.#appends.clear();
    this.#tell('epoch');
  }

  #tell(what: 'fault' | 'epoch'): void {
    for (const listener of this.#changeListeners) listener(what);
  }
}

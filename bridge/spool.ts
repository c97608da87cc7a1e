/**
 * The edge's log of accepted messages: append-only segments, one fdatasync for everything that
 * waits. What is appended is durable when `onDurable` says so, never before.
 *
 * A segment is freed when everything in it is past every holder: the core's watermark for what
 * goes up, and whoever registered with `addHolder` for what is still needed here. State records
 * carry the lanes' counters, and the newest one on disk is a holder too, so that freeing loses none.
 */
import { mkdir } from 'node:fs/promises';
import type { Clock } from '../base/clock.ts';
import { messageOf, TrunklineError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import type { Counter, Metrics } from '../base/metrics.ts';
import type { Publication } from '../base/publication.ts';
import { laneOf } from '../base/topic.ts';
import { type CommitBounds, GroupCommit, writtenBehind } from './group-commit.ts';
import { Saturation } from './saturation.ts';
import {
  entriesOf,
  epochOfEntry,
  type ReadEntry,
  recordOf,
  type SpoolInput,
} from './spool-entry.ts';
import { SpoolEpoch } from './spool-epoch.ts';
import { SpoolLanes } from './spool-lanes.ts';
import { goesUp, type Pending, uplinkRecords } from './spool-pending.ts';
import { encodeRecord } from './spool-record.ts';
import { SpoolSegments } from './spool-segments.ts';
import { SpoolUplink } from './spool-uplink.ts';

const tidyMs = 1_000;

export interface SpoolParts {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly clock: Clock;
}

export interface SpoolOptions {
  readonly directory: string;
  /** Size on disk past which publishers pause. */
  readonly bytesMax: number;
  /** `disk`: durable when it is on disk. `memory`: taken for durable at once, written behind. */
  readonly durability?: 'disk' | 'memory';
  /** How long a commit waits for more to come, and the bytes past which it does not. */
  readonly commit?: CommitBounds;
}

export class Spool {
  /** What goes up, and where the downlink stands: the lanes' side. */
  readonly uplink: SpoolUplink;
  /** Nobody waits for the disk: what is appended counts as kept. */
  readonly isVolatile: boolean;
  readonly #parts: SpoolParts;
  readonly #saturation: Saturation;
  readonly #lost: Counter;
  readonly #lanes = new SpoolLanes();
  readonly #segments: SpoolSegments;
  readonly #commit: GroupCommit<Pending>;
  readonly #holders: (() => number)[] = [];
  readonly #durableListeners: ((through: number) => void)[] = [];
  readonly #reliefListeners: (() => void)[] = [];
  #nextSequence = 1;
  #durableThrough = 0;
  /** Sequence of the newest state record on disk. */
  #stateThrough = 0;
  #isPositionDirty = true;
  #isClosed = false;
  #stopTidying: () => void = () => {};
  #tidying: Promise<void> = Promise.resolve();

  private constructor(parts: SpoolParts, options: SpoolOptions, epoch: SpoolEpoch) {
    this.#parts = parts;
    this.#saturation = new Saturation(options.bytesMax);
    this.isVolatile = options.durability === 'memory';
    this.#segments = new SpoolSegments({ ...options, isSynced: !this.isVolatile });
    const lanes = this.#lanes;
    this.uplink = new SpoolUplink(
      epoch,
      { lanes, segments: this.#segments },
      {
        durableThrough: () => this.#durableThrough,
        newLog: () => this.#appendState(),
        positionMoved: () => {
          this.#isPositionDirty = true;
        },
      },
    );
    const { metrics, log } = parts;
    const commits = metrics.counter('trunkline_spool_commits_total', 'Group commits of the spool.');
    const failures = metrics.counter(
      'trunkline_spool_failures_total',
      'Writes of the spool that failed and were tried again.',
    );
    this.#lost = metrics.counter(
      'trunkline_spool_lost_total',
      'Records of the spool that were found damaged at the start, and are lost.',
    );
    const commitParts = { ...parts, bounds: this.isVolatile ? writtenBehind : options.commit };
    this.#commit = new GroupCommit<Pending>(commitParts, {
      write: async (group, afresh) => {
        await this.#write(group, afresh);
        commits.add();
      },
      committed: (items) => this.#announce(items),
      failed: (error) => {
        failures.add();
        log.error({ err: error }, 'spool write failed, nothing is on disk until it succeeds');
      },
    });
    metrics.gauge(
      'trunkline_spool_bytes',
      'Bytes of the spool on disk.',
      () => this.#segments.bytes,
    );
    metrics.gauge(
      'trunkline_spool_backlog',
      'Spooled publications that the core has not made durable.',
      () => this.#lanes.backlog,
    );
  }

  /** Recovers what earlier runs left. Throws `data-unwritable` or `spool-corrupt`. */
  static async open(parts: SpoolParts, options: SpoolOptions): Promise<Spool> {
    try {
      await mkdir(options.directory, { recursive: true });
      const spool = new Spool(parts, options, await SpoolEpoch.open(options.directory));
      await spool.#recover();
      spool.#stopTidying = parts.clock.every(tidyMs, () => {
        spool.#tidying = spool.#tidying.then(() => spool.#tidy());
      });
      return spool;
    } catch (error) {
      if (error instanceof TrunklineError) throw error;
      throw new TrunklineError(
        'data-unwritable',
        `The spool cannot be opened in ${options.directory}: ${messageOf(error)}. Make the folder writable or choose another with --data.`,
        { cause: error },
      );
    }
  }

  get durableThrough(): number {
    return this.#durableThrough;
  }

  get acceptedThrough(): number {
    return this.isVolatile ? this.appendedThrough : this.#durableThrough;
  }

  get appendedThrough(): number {
    return this.#nextSequence - 1;
  }

  get activeFrom(): number {
    return this.#segments.activeFrom;
  }

  get isSaturated(): boolean {
    return this.#saturation.isOn;
  }

  /** Answers the sequence, of a run that of its first publication. */
  append(entry: SpoolInput): number {
    const epoch = epochOfEntry(entry);
    if (epoch !== null) this.uplink.adoptLog(epoch);
    const count = entry.kind === 'run' ? entry.run.count : 1;
    const sequence = this.#nextSequence;
    this.#nextSequence += count;
    const record = recordOf(entry, (lane) => this.#lanes.assign(lane, sequence, count));
    if (record.kind === 'publication' && record.direction === 'down') {
      this.#lanes.noteAppended(record.lane, record.place);
    }
    this.#enqueue({ sequence, count, record, bytes: encodeRecord(record) });
    return sequence;
  }

  onDurable(listener: (through: number) => void): void {
    this.#durableListeners.push(listener);
  }

  onRelief(listener: () => void): void {
    this.#reliefListeners.push(listener);
  }

  addHolder(lowest: () => number): void {
    this.#holders.push(lowest);
  }

  /** Whether the core still has to make this publication durable. */
  isUplinkPending(topic: string, sequence: number): boolean {
    return this.#lanes.isPending(laneOf(topic), sequence);
  }

  /** Publications and releases from a sequence on, up to what is durable now. */
  async *read(fromSequence: number): AsyncIterable<readonly ReadEntry[]> {
    for await (const chunk of this.#segments.chunks(fromSequence, this.#durableThrough)) {
      const entries = entriesOf(chunk, this.#lanes.logEpoch);
      if (entries.length > 0) yield entries;
    }
  }

  async get(sequence: number): Promise<Publication | null> {
    // Written behind: not there yet, perhaps.
    await this.#commit.until(() => sequence <= this.#durableThrough);
    let found: Publication | null = null;
    await this.#segments.scanFrom(sequence, ({ sequence: at, record }) => {
      if (at === sequence && record.kind === 'publication') {
        found = record.publication;
      }
      return false;
    });
    return found;
  }

  /** Waits for what was appended; a disk that keeps failing is given up after some seconds. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    if (this.#isPositionDirty) this.#appendState();
    this.#isClosed = true;
    this.#stopTidying();
    await this.#commit.close();
    await this.#tidying;
    await this.#segments.close();
  }

  #appendState(): void {
    const { laneSequences, logEpoch, positionsToKeep: positions } = this.#lanes;
    this.#isPositionDirty = false;
    const record = { kind: 'state', laneSequences, logEpoch, positions } as const;
    const sequence = this.#nextSequence++;
    this.#enqueue({ sequence, count: 1, record, bytes: encodeRecord(record) });
  }

  #enqueue(pending: Pending): void {
    if (this.#isClosed) throw new TrunklineError('spool-failing', 'The spool is closed.');
    this.#commit.add(pending);
    this.#updateSaturation();
  }

  async #write(group: readonly Pending[], afresh: boolean): Promise<void> {
    // After a failed fdatasync the pages of that segment can't be trusted: begin another.
    if (afresh || this.#segments.isFull) {
      await this.#segments.startAfresh((group[0] as Pending).sequence);
      this.#isPositionDirty = true;
    }
    await this.#segments.write(group);
  }

  #announce(items: readonly Pending[]): void {
    for (const { record, sequence, count } of items) {
      if (record.kind === 'state') this.#stateThrough = sequence;
      if (!goesUp(record)) continue;
      this.#lanes.markDurable(record.lane, record.place + count - 1);
    }
    const last = items.at(-1) as Pending;
    this.#durableThrough = last.sequence + last.count - 1;
    for (const listener of this.#durableListeners) listener(this.#durableThrough);
    this.uplink.announce(() => items.flatMap(uplinkRecords));
    this.#updateSaturation();
  }

  #updateSaturation(): void {
    const change = this.#saturation.update(this.#segments.bytes, this.#commit.waitingBytes);
    if (change === 'began' && this.#saturation.isFull) {
      this.#parts.log.warn({ bytes: this.#segments.bytes }, 'spool full, publishers wait');
    }
    if (change === 'ended') for (const listener of this.#reliefListeners) listener();
  }

  /** Notes the downlink positions, and frees segments that nobody needs. */
  async #tidy(): Promise<void> {
    if (this.#isClosed) return;
    if (this.#isPositionDirty) this.#appendState();
    let lowest = Math.min(this.#stateThrough, this.#lanes.lowestHeld());
    for (const holder of this.#holders) lowest = Math.min(lowest, holder());
    try {
      await this.#segments.free(lowest);
    } catch (error) {
      this.#parts.log.error({ err: error }, 'spool segment cannot be removed');
    }
    this.#updateSaturation();
  }

  async #recover(): Promise<void> {
    const { log } = this.#parts;
    const { nextSequence, lost } = await this.#segments.recover(({ sequence, record }) =>
      this.#lanes.restoreFrom(record, sequence),
    );
    this.#nextSequence = nextSequence;
    this.#lost.add(lost);
    if (lost > 0) log.error({ lost }, 'spool damaged, records between whole ones are lost');
    this.#durableThrough = this.#nextSequence - 1;
    this.#appendState();
    const { count } = this.#segments;
    const fields = { segments: count, through: this.#durableThrough, backlog: this.#lanes.backlog };
    log.info(fields, 'spool recovered');
  }
}

/**
 * The edge's log of accepted messages: append-only segments, one fdatasync for everything that
 * waits. What is appended is durable when `onDurable` says so; when `isVolatile`, at once.
 *
 * A segment is freed when everything in it is past every holder: the core's watermark for what
 * goes up, and whoever registered with `addHolder` for what is still needed here; the newest full
 * state record, which carries the lanes' counters, is one too. After that it is retained for a while.
 */
import { mkdir } from 'node:fs/promises';
import { messageOf, TrunklineError } from '../base/errors.ts';
import { laneCount } from '../base/limits.ts';
import type { Counter } from '../base/metrics.ts';
import type { Publication } from '../base/publication.ts';
import { GroupCommit, writtenBehind } from './group-commit.ts';
import { createLaneMap, type LaneMap } from './lane-map.ts';
import { Saturation } from './saturation.ts';
import { createSpoolCounters } from './spool-counters.ts';
import {
  entriesOf,
  epochOfEntry,
  type ReadEntry,
  recordOf,
  type SpoolInput,
} from './spool-entry.ts';
import { SpoolEpoch } from './spool-epoch.ts';
import { SpoolLanes } from './spool-lanes.ts';
import type { SpoolOptions, SpoolParts } from './spool-options.ts';
import { cameDown, goesUp, type Pending, uplinkRecords } from './spool-pending.ts';
import { encodeRecord } from './spool-record.ts';
import { SpoolSegments } from './spool-segments.ts';
import { SpoolSpace } from './spool-space.ts';
import { SpoolUplink } from './spool-uplink.ts';

const tidyMs = 1_000;

export class Spool {
  /** What goes up, and where the downlink stands: the lanes' side. */
  readonly uplink: SpoolUplink;
  readonly isVolatile: boolean;
  readonly #parts: SpoolParts;
  readonly #saturation: Saturation;
  readonly #lost: Counter;
  readonly #lanes: SpoolLanes;
  readonly #segments: SpoolSegments;
  readonly #space: SpoolSpace;
  readonly #commit: GroupCommit<Pending>;
  readonly #holders: (() => number)[] = [];
  readonly #durableListeners: ((through: number) => void)[] = [];
  readonly #reliefListeners: (() => void)[] = [];
  #nextSequence = 1;
  #durableThrough = 0;
  /** Sequence of the newest full state record on disk. */
  #stateThrough = 0;
  #needsFullState = true;
  #isPositionDirty = true;
  #isClosed = false;
  #stopTidying: () => void = () => {};
  #tidying: Promise<void> = Promise.resolve();

  private constructor(parts: SpoolParts, options: SpoolOptions, epoch: SpoolEpoch) {
    this.#parts = parts;
    this.#saturation = new Saturation(options.bytesMax);
    this.isVolatile = options.durability === 'memory';
    this.#segments = new SpoolSegments({ ...options, isSynced: !this.isVolatile });
    const lanes = new SpoolLanes(options.laneMap ?? createLaneMap(laneCount));
    this.#lanes = lanes;
    this.#space = new SpoolSpace({ ...parts, lanes, segments: this.#segments }, options.retain);
    const counters = createSpoolCounters(parts.metrics, {
      bytes: () => this.#segments.bytes,
      backlog: () => lanes.backlog,
    });
    this.#lost = counters.lost;
    this.uplink = new SpoolUplink(
      epoch,
      { lanes, segments: this.#segments, books: counters.books },
      {
        append: (entry) => this.append(entry),
        durableThrough: () => this.#durableThrough,
        newLog: () => this.#appendState(),
        positionMoved: () => {
          this.#isPositionDirty = true;
        },
        regressed: (lane, count) => {
          counters.replayed.add(count);
          this.#space.forget();
          parts.log.warn(
            { lane, count },
            'the core lost what it had acknowledged, it goes up again',
          );
        },
      },
    );
    const commitParts = { ...parts, bounds: this.isVolatile ? writtenBehind : options.commit };
    this.#commit = new GroupCommit<Pending>(commitParts, {
      write: async (group, afresh) => {
        await this.#write(group, afresh);
        counters.commits.add();
      },
      committed: (items) => this.#announce(items),
      failed: (error) => {
        counters.failures.add();
        parts.log.error({ err: error }, 'spool write failed, nothing is on disk until it succeeds');
      },
    });
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
    const assign = (lane: number) => this.#lanes.assign(lane, sequence, count);
    const record = recordOf(entry, this.#lanes.map, assign);
    if (cameDown(record)) this.#lanes.noteAppended(record.lane, record.place + count - 1);
    this.#enqueue({ sequence, count, record, bytes: encodeRecord(record) });
    return sequence;
  }

  /** Other lanes from here on: see LaneMap. Throws `overloaded` when too many changes wait. */
  applyLaneMap(map: LaneMap): void {
    if (this.#lanes.applyMap(map, this.#nextSequence)) this.#appendState();
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

  get lowestPending(): number {
    return this.#lanes.lowestPending();
  }

  isUplinkPending(topic: string, sequence: number): boolean {
    return this.#lanes.isPending(topic, sequence);
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
    const record = this.#lanes.stateRecord(this.#needsFullState);
    this.#isPositionDirty = false;
    this.#needsFullState = false;
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
      const { sequence } = group[0] as Pending;
      await this.#segments.startAfresh(sequence);
      this.#lanes.beginSegment(sequence);
      this.#isPositionDirty = true;
      this.#needsFullState = true;
    }
    await this.#segments.write(group);
  }

  #announce(items: readonly Pending[]): void {
    for (const { record, sequence, count } of items) {
      if (record.kind === 'state' && record.isFull) this.#stateThrough = sequence;
      if (!goesUp(record)) continue;
      this.uplink.markDurable(record.lane, { through: record.place + count - 1, count });
    }
    const last = items.at(-1) as Pending;
    this.#durableThrough = last.sequence + last.count - 1;
    for (const listener of this.#durableListeners) listener(this.#durableThrough);
    this.uplink.announce(() => items.flatMap(uplinkRecords));
    this.#updateSaturation();
  }

  #updateSaturation(): void {
    const change = this.#saturation.update(this.#space.bytesHeld, this.#commit.waitingBytes);
    if (change === 'began' && this.#saturation.isFull) {
      this.#parts.log.warn({ bytes: this.#segments.bytes }, 'spool full, publishers wait');
    }
    if (change === 'ended') for (const listener of this.#reliefListeners) listener();
  }

  /** Notes the downlink positions, and frees segments that nobody needs. */
  async #tidy(): Promise<void> {
    if (this.#isClosed) return;
    if (this.#space.note()) this.#isPositionDirty = true;
    if (this.#isPositionDirty) this.#appendState();
    let lowest = Math.min(this.#stateThrough, this.#lanes.lowestPending());
    for (const holder of this.#holders) lowest = Math.min(lowest, holder());
    try {
      await this.#space.free(lowest);
    } catch (error) {
      this.#parts.log.error({ err: error }, 'spool segment cannot be removed');
    }
    this.#updateSaturation();
  }

  async #recover(): Promise<void> {
    const { log } = this.#parts;
    const { nextSequence, lost } = await this.#segments.recover(
      ({ sequence, record }) => this.#lanes.restoreFrom(record, sequence),
      (firstSequence) => this.#lanes.beginSegment(firstSequence),
    );
    this.#nextSequence = nextSequence;
    this.#lanes.restored(nextSequence);
    this.uplink.restored();
    this.#lanes.beginSegment(nextSequence);
    this.#lost.add(lost);
    if (lost > 0) log.error({ lost }, 'spool damaged, records between whole ones are lost');
    this.#durableThrough = this.#nextSequence - 1;
    this.#appendState();
    const { count } = this.#segments;
    const fields = { segments: count, through: this.#durableThrough, backlog: this.#lanes.backlog };
    log.info(fields, 'spool recovered');
  }
}

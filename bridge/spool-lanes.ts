/**
 * The lanes' side of the spool: which lane each topic goes up on, which places of each lane the core
 * has made durable, which of these are retained, and where the downlink of each lane stands.
 */
import { laneCount, uplinkLanesMax } from '../base/limits.ts';
import { LaneBarriers } from './lane-barriers.ts';
import { createLaneMap, type LaneMap } from './lane-map.ts';
import type { LaneStart } from './ports.ts';
import { SeenSources } from './seen-sources.ts';
import { SegmentStarts } from './segment-starts.ts';
import { SpoolLane } from './spool-lane.ts';
import type { SpoolRecord, StateRecord } from './spool-record.ts';

/** Before lanes could be counted otherwise: the map of a spool that names none. */
const earlierMapId = createLaneMap(laneCount).id;

export class SpoolLanes {
  readonly seen = new SeenSources();
  readonly #lanes = Array.from({ length: uplinkLanesMax }, () => new SpoolLane());
  readonly #starts = new SegmentStarts();
  readonly #barriers = new LaneBarriers();
  #map: LaneMap;
  /** What was accepted from this spool sequence on went by the map. */
  #mapSince = 0;
  /** What the newest state record found on start says. */
  #found: StateRecord | null = null;
  logEpoch = '';
  readonly positions: number[] = new Array(laneCount).fill(0);
  /** What came down and was appended, which may not be noted in `positions` yet. */
  readonly #appended: number[] = new Array(laneCount).fill(0);

  constructor(map: LaneMap) {
    this.#map = map;
  }

  get map(): LaneMap {
    return this.#map;
  }

  /** Lanes that something goes up on, or may be asked for again. */
  get laneCount(): number {
    const last = this.#lanes.findLastIndex(({ newest, oldest }) => newest >= oldest);
    return Math.max(this.#map.laneCount, last + 1);
  }

  /** Another map from here on, whose first record may have this sequence; false when it is the one in
   * force. What it brings about is to be written down before any record behind it. Throws
   * `overloaded`. */
  applyMap(map: LaneMap, sequence: number): boolean {
    const isSame = this.#map.id === map.id;
    if (!isSame) this.#turnAt(sequence);
    this.#map = map;
    return !isSame;
  }

  /** The next places on a lane, taken by what has these spool sequences; answers the first. */
  assign(lane: number, sequence: number, count: number): number {
    return this.#lane(lane).assign(sequence, count);
  }

  /** A segment begins with this sequence; everything before it is on disk. */
  beginSegment(sequence: number): void {
    this.#starts.begin({ sequence, places: this.#lanes.map(({ durable }) => durable + 1) });
  }

  /** What a record found on start says of the lanes; called in log order. */
  restoreFrom(record: SpoolRecord, sequence: number): void {
    if (record.kind === 'state') {
      this.#restoreState(record, sequence);
      return;
    }
    if (record.kind !== 'publication') return;
    const { direction, lane, place } = record;
    if (direction === 'up') this.#lane(lane).restore(place, sequence);
    if (direction === 'down') {
      this.positions[lane] = Math.max(this.positions[lane] ?? 0, place);
      const { from } = record;
      if (from !== null) this.seen.restore(from.source, lane, from.sequence);
    }
  }

  /** Everything was found; the next record will have this sequence. */
  restored(nextSequence: number): void {
    const found = this.#found;
    for (const [lane, state] of this.#lanes.entries()) {
      const acknowledged = found?.acknowledged[lane] ?? 0;
      state.restored({ acknowledged, oldest: found?.oldest[lane] ?? 0 });
    }
    this.#barriers.restore(found?.barriers ?? []);
    this.#barriers.update((lane) => this.acknowledgedOf(lane));
    this.#mapSince = found?.mapSince ?? 0;
    if ((found?.mapId || earlierMapId) !== this.#map.id) this.#turnAt(nextSequence);
  }

  markDurable(lane: number, place: number): void {
    this.#lane(lane).durable = place;
  }

  /** True when more may go up than before, on any lane. */
  acknowledge(lane: number, through: number): boolean {
    this.#lane(lane).acknowledge(through);
    return this.#barriers.update((one) => this.acknowledgedOf(one));
  }

  /** The core has less than it acknowledged; answers how many are to be sent again. */
  regress(lane: number, through: number): number {
    const count = this.#lane(lane).regress(through);
    this.#barriers.update((one) => this.acknowledgedOf(one));
    return count;
  }

  acknowledgedOf(lane: number): number {
    return this.#lane(lane).acknowledged;
  }

  oldestOf(lane: number): number {
    return this.#lane(lane).oldest;
  }

  /** The last place that may go up. */
  newestOf(lane: number): number {
    return Math.min(this.#lane(lane).durable, this.#barriers.limitOf(lane));
  }

  get isHeldBack(): boolean {
    return this.#barriers.isStanding;
  }

  sentThrough(lane: number): number {
    return this.#lane(lane).sent;
  }

  noteSent(lane: number, through: number): void {
    const state = this.#lane(lane);
    state.sent = Math.max(state.sent, through);
  }

  /** Where to look for a place of a lane: its spool sequence, or one before it. */
  sequenceOf(lane: number, place: number): number {
    const state = this.#lane(lane);
    if (place > state.newest) return Number.POSITIVE_INFINITY;
    return state.sequenceOf(place) ?? this.#starts.sequenceOf(lane, place);
  }

  /** The lowest spool sequence that the core has not acknowledged; Infinity for none. */
  lowestPending(): number {
    let lowest = Number.POSITIVE_INFINITY;
    for (const [lane, { acknowledged }] of this.#lanes.entries()) {
      lowest = Math.min(lowest, this.sequenceOf(lane, acknowledged + 1));
    }
    return lowest;
  }

  isPending(topic: string, sequence: number): boolean {
    if (sequence < this.#mapSince) {
      // It went by another map: whichever lane it is on.
      return this.#barriers.isStanding && sequence >= this.lowestPending();
    }
    const lane = this.#map.laneFor(topic);
    return sequence >= this.sequenceOf(lane, this.acknowledgedOf(lane) + 1);
  }

  get acknowledged(): readonly number[] {
    return this.#lanes.map((lane) => lane.acknowledged);
  }

  /** What is below these places is not retained any more; true when that is news. */
  release(places: readonly number[]): boolean {
    let isNews = false;
    for (const [lane, state] of this.#lanes.entries()) {
      const before = state.oldest;
      state.release(places[lane] ?? 0);
      isNews ||= state.oldest > before;
    }
    if (isNews) this.#barriers.release((lane) => this.oldestOf(lane));
    return isNews;
  }

  /** Whether what is before the segment that begins with this sequence is not retained any more. */
  isReleased(before: number): boolean {
    const places = this.#starts.placesOf(before);
    return places.every((place, lane) => place <= this.oldestOf(lane));
  }

  /** The segments before the one that begins with this sequence go. */
  freed(before: number): void {
    this.release(this.#starts.placesOf(before));
    this.#starts.freed(before);
  }

  /** True when it is news. */
  notePosition(lane: number, position: number): boolean {
    if ((this.positions[lane] ?? 0) >= position) return false;
    this.positions[lane] = position;
    return true;
  }

  /** What came down is in the log, and durable before any state record behind it. */
  noteAppended(lane: number, position: number): void {
    this.#appended[lane] = Math.max(this.#appended[lane] ?? 0, position);
  }

  /** True when it is another log than before: positions in the old one mean nothing in it. */
  adoptLog(logEpoch: string): boolean {
    if (this.logEpoch === logEpoch) return false;
    this.logEpoch = logEpoch;
    this.positions.fill(0);
    this.#appended.fill(0);
    return true;
  }

  /** True when what is on disk must not stand: another log, or positions that went back. */
  startAt(logEpoch: string, starts: readonly LaneStart[]): boolean {
    let isNews = this.adoptLog(logEpoch);
    for (const [lane, { position, isSetBack }] of starts.slice(0, laneCount).entries()) {
      if (isSetBack) {
        this.positions[lane] = position;
        this.#appended[lane] = position;
        isNews = true;
      } else {
        this.notePosition(lane, position);
      }
    }
    return isNews;
  }

  get backlog(): number {
    return this.#lanes.reduce((sum, lane) => sum + lane.durable - lane.acknowledged, 0);
  }

  backlogOf(lane: number): number {
    const { durable, acknowledged } = this.#lane(lane);
    return durable - acknowledged;
  }

  /** The last place that was given out. */
  givenOut(lane: number): number {
    return this.#lanes[lane]?.newest ?? 0;
  }

  stateRecord(isFull: boolean): StateRecord {
    return {
      kind: 'state',
      isFull,
      laneSequences: this.#lanes.map((lane) => lane.newest),
      acknowledged: this.acknowledged,
      oldest: this.#lanes.map((lane) => lane.oldest),
      mapId: this.#map.id,
      mapSince: this.#mapSince,
      barriers: this.#barriers.all,
      logEpoch: this.logEpoch,
      // It stands behind everything appended, so that a start which reads it must not forget that.
      positions: this.positions.map((at, lane) => Math.max(at, this.#appended[lane] ?? 0)),
      sources: this.seen.take(isFull),
    };
  }

  #turnAt(sequence: number): void {
    this.#barriers.add(this.#lanes.map((lane) => lane.newest));
    this.#barriers.update((lane) => this.acknowledgedOf(lane));
    this.#mapSince = sequence;
  }

  #restoreState(record: StateRecord, sequence: number): void {
    for (const [lane, newest] of record.laneSequences.entries()) {
      this.#lanes[lane]?.restoreThrough(newest, sequence);
    }
    this.logEpoch = record.logEpoch;
    for (let lane = 0; lane < laneCount; lane++) {
      this.positions[lane] = record.positions[lane] ?? 0;
    }
    this.seen.restoreAll(record.sources);
    this.#found = record;
  }

  #lane(lane: number): SpoolLane {
    const state = this.#lanes[lane];
    if (state === undefined) throw new RangeError(`lane ${lane} of ${uplinkLanesMax}`);
    return state;
  }
}

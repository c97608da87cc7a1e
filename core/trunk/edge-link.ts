/**
 * One attached edge, across its control stream and its lanes: what it is interested in, and which
 * lane each publication for it rides.
 */
import { TrunklineError } from '../../base/errors.ts';
import type { Ledger } from '../../base/ledger.ts';
import { laneCount } from '../../base/limits.ts';
import type { Publication } from '../../base/publication.ts';
import { laneOf, topicFilterFault } from '../../base/topic.ts';
import type { InterestUpdate } from '../../proto/gen/trunkline/v1/trunk.ts';
import type { Backplane } from '../backplane/backplane.ts';
import type { FanOut, LogReader } from '../fanout/fan-out.ts';
import type { FanoutAttachment } from '../fanout/target.ts';
import type { CallStatus } from '../grpc/status.ts';
import type { EdgeStage } from './attached-edges.ts';
import type { RetainedSnapshot } from './downlink-sender.ts';
import { EdgeInterest } from './edge-interest.ts';
import type { LaneStream } from './lane-stream.ts';

/** Distinct filters of one edge; far above what 10,000 sessions ask for. */
const filtersMax = 500_000;

interface AttachedLane {
  readonly stream: LaneStream;
  readonly end: (end: CallStatus) => void;
}

export class EdgeLink implements LogReader {
  readonly id: string;
  readonly interest = new EdgeInterest();
  readonly #backplane: Backplane;
  readonly #ledger: Ledger;
  readonly #attachment: FanoutAttachment;
  readonly #lanes = new Map<number, AttachedLane>();
  /** Zero holds the log until the lane has named its place. */
  readonly #readThrough: number[] = new Array(laneCount).fill(0);
  #version = 0;

  constructor(parts: { backplane: Backplane; fanout: FanOut; ledger: Ledger }, id: string) {
    this.id = id;
    this.#ledger = parts.ledger;
    this.#backplane = parts.backplane;
    this.#attachment = parts.fanout.attachReader(this);
  }

  /** Throws `filter-invalid`, `protocol` or `overloaded`; the control stream ends with it. */
  applyInterest(update: InterestUpdate): void {
    const isFirst = this.#version === 0;
    if (isFirst && !update.snapshot) {
      throw new TrunklineError('protocol', 'The first interest update must be a snapshot.');
    }
    if (update.version <= this.#version) {
      throw new TrunklineError(
        'protocol',
        `Interest version ${update.version} does not follow ${this.#version}.`,
      );
    }
    const removed = this.#removedBy(update);
    const added = this.#addedBy(update, removed);
    for (const filter of removed) this.#remove(filter);
    this.#add(added, isFirst);
    this.#version = update.version;
    this.#announce(added, isFirst);
  }

  /** One stream a lane: an older one gives way. */
  attachLane(lane: AttachedLane, replaced: CallStatus): void {
    const number = lane.stream.lane;
    const older = this.#lanes.get(number);
    this.#lanes.set(number, lane);
    older?.end(replaced);
    if (this.#version === 0) return;
    lane.stream.sendRetained(this.#retained(this.interest.filters(), number));
    lane.stream.start();
  }

  detachLane(stream: LaneStream): void {
    this.#readThrough[stream.lane] = stream.readThrough;
    if (this.#lanes.get(stream.lane)?.stream === stream) this.#lanes.delete(stream.lane);
  }

  /** QoS 0 for this edge. */
  deliver(publications: readonly Publication[]): void {
    // As in the fan-out: those of one topic come one behind the other.
    let topic: string | null = null;
    let lane: AttachedLane | undefined;
    for (const publication of publications) {
      if (publication.topic !== topic) {
        topic = publication.topic;
        lane = this.#lanes.get(laneOf(topic));
      }
      if (lane === undefined) this.#ledger.dropped('link-down-qos0');
      else lane.stream.offer(publication);
    }
  }

  wake(lane: number): void {
    this.#lanes.get(lane)?.stream.wake();
  }

  readThrough(lane: number): number {
    return this.#lanes.get(lane)?.stream.readThrough ?? this.#readThrough[lane] ?? 0;
  }

  takenThrough(lane: number): number {
    return this.#lanes.get(lane)?.stream.sentThrough ?? Infinity;
  }

  stageOf(topic: string, at: { readonly lane: number; readonly position: number }): EdgeStage {
    if (!this.interest.wants(topic, at)) return 'not-wanted';
    if (this.readThrough(at.lane) >= at.position) return 'acknowledged';
    const sentThrough = this.#lanes.get(at.lane)?.stream.sentThrough ?? 0;
    return sentThrough >= at.position ? 'sent' : 'waiting';
  }

  /** False when a lane has fallen silent. */
  tick(): boolean {
    let isAlive = true;
    for (const { stream } of this.#lanes.values()) isAlive = stream.tick() && isAlive;
    return isAlive;
  }

  close(end: CallStatus): void {
    this.#attachment.detach();
    for (const lane of [...this.#lanes.values()]) lane.end(end);
  }

  #addedBy(update: InterestUpdate, removed: ReadonlySet<string>): string[] {
    const added: string[] = [];
    for (const filter of new Set(update.added)) {
      const fault = topicFilterFault(filter);
      if (fault !== null) {
        throw new TrunklineError('filter-invalid', `The filter "${filter}" ${fault}.`);
      }
      if (!this.interest.has(filter) || removed.has(filter)) added.push(filter);
    }
    if (this.interest.size + added.length > filtersMax) {
      throw new TrunklineError('overloaded', `An edge may want ${filtersMax} filters.`);
    }
    return added;
  }

  #removedBy(update: InterestUpdate): ReadonlySet<string> {
    if (!update.snapshot) return new Set(update.removed);
    const kept = new Set(update.added);
    return new Set([...this.interest.filters()].filter((filter) => !kept.has(filter)));
  }

  #remove(filter: string): void {
    if (this.interest.remove(filter)) this.#attachment.unwant(filter);
  }

  /** The filters of the first snapshot count from the cursor: the edge wanted them while it was
   * away. */
  #add(filters: readonly string[], isFirst: boolean): void {
    const heads = Array.from({ length: laneCount }, (_, lane) => this.#backplane.head(lane));
    for (const filter of filters) {
      this.interest.add(filter, isFirst ? null : heads);
      this.#attachment.want(filter);
    }
  }

  #announce(added: readonly string[], isFirst: boolean): void {
    for (const { stream } of this.#lanes.values()) {
      stream.sendRetained(this.#retained(added, stream.lane));
      if (isFirst) stream.start();
    }
  }

  #retained(filters: Iterable<string>, lane: number): RetainedSnapshot {
    const attachment = this.#attachment;
    return {
      publications: this.#retainedOf(filters, lane),
      version: this.#version,
      isCurrent: (publication) => attachment.isRetained(publication),
    };
  }

  #retainedOf(filters: Iterable<string>, lane: number): Publication[] {
    const byTopic = new Map<string, Publication>();
    // Streams beyond the lanes of the log are for the way up.
    if (lane >= laneCount) return [];
    for (const filter of filters) {
      for (const publication of this.#attachment.retained(filter)) {
        if (laneOf(publication.topic) === lane) byTopic.set(publication.topic, publication);
      }
    }
    return [...byTopic.values()];
  }
}

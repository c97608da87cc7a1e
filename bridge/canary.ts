/**
 * Proves each lane the whole way: every so often a publication of the edge's own goes through the
 * spool, up the lane, through the core's log and fan-out, and comes back down. Heartbeats prove that
 * the peer speaks; this proves that messages pass.
 *
 * On each lane one canary at most waits for the core, so that none pile up behind a link that is down.
 * It stands in its lane behind what was accepted before it: while a backlog goes up its age grows, and
 * that is the truth. A lane that makes progress is not given up for it.
 */
import { randomUUID } from 'node:crypto';
import { canaryLane, canaryTopic } from '../base/canary.ts';
import type { Clock } from '../base/clock.ts';
import { canariesMissedMax, laneCount } from '../base/limits.ts';
import type { Logger } from '../base/log.ts';
import type { Latency, Metrics } from '../base/metrics.ts';
import type { Publication } from '../base/publication.ts';
import { LaneCounters } from './lane-books.ts';
import type { UplinkLog } from './ports.ts';

export interface CanaryParts {
  readonly log: Logger;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly spool: UplinkLog;
}

export interface CanaryOptions {
  readonly edgeId: string;
  /** 0 for none at all. */
  readonly everyMs: number;
}

interface LaneProof {
  /** The last one: which it was, when it went, and its lane sequence. */
  sent: { readonly name: string; readonly at: number; readonly place: number } | null;
  /** The core has it on disk. */
  isAcknowledged: boolean;
  /** The half of the way that the first one is on of those that did not come back. */
  missing: 'none' | 'up' | 'down';
  /** When one came back; null for never. */
  cameAt: number | null;
  /** When something last moved on that half. */
  movedAt: number;
  /** By which that is seen. */
  marks: { readonly acknowledged: number; readonly position: number };
  isOverdue: boolean;
}

export class Canary {
  readonly #parts: CanaryParts;
  readonly #options: CanaryOptions;
  readonly #sent: LaneCounters;
  readonly #time: Latency;
  readonly #run = randomUUID();
  readonly #lanes: LaneProof[] = [];
  /** Null while no link is up whose core sends canaries back. */
  #upAt: number | null = null;
  #tickedAt = 0;
  #count = 0;

  constructor(parts: CanaryParts, options: CanaryOptions) {
    this.#parts = parts;
    this.#options = options;
    const { metrics, spool } = parts;
    this.#sent = new LaneCounters(metrics, {
      name: 'trunkline_canaries_sent_total',
      help: 'Publications that the edge sent to prove a lane, by lane.',
    });
    this.#time = metrics.latency(
      'trunkline_canary_seconds',
      'Time of a canary through the spool, the core and back.',
    );
    for (let lane = 0; lane < spool.laneCount; lane++) {
      metrics.gauge(
        'trunkline_trunk_proof_age_seconds',
        'Time since a canary came back, by lane; 0 where none is sent.',
        () => this.ageMs(lane) / 1_000,
        { lane: String(lane) },
      );
    }
  }

  get isOn(): boolean {
    return this.#options.everyMs > 0;
  }

  /** `isReturned`: the core sends them back. */
  linkUp(isReturned: boolean): void {
    if (!this.isOn || !isReturned) return;
    const now = this.#parts.clock.elapsed();
    this.#upAt = now;
    this.#tickedAt = now;
    for (const proof of this.#lanes) proof.movedAt = now;
  }

  linkDown(): void {
    this.#upAt = null;
  }

  /** Sends what is due. Answers the lane that the link has to be replaced for; null for none. */
  tick(isBusy: (logLane: number) => boolean = () => false): number | null {
    if (this.#upAt === null) return null;
    const now = this.#parts.clock.elapsed();
    // A process that itself stood still must first read what came meanwhile.
    const stoodStill = now - this.#tickedAt > this.#options.everyMs;
    this.#tickedAt = now;
    let stuck: number | null = null;
    for (let lane = 0; lane < this.#parts.spool.laneCount; lane++) {
      const proof = this.#proofOf(lane);
      this.#look(lane, proof);
      // The broker here has to take what came: that is no fault of the link, either.
      if (stoodStill || isBusy(lane % laneCount)) proof.movedAt = now;
      if (this.#isDue(proof, now)) this.#send(lane, proof);
      this.#judge(lane, proof);
      if (this.#isStuck(lane, proof)) stuck ??= lane;
    }
    return stuck;
  }

  /** One came down. What is not this edge's, or of an earlier run, is no less a proof. */
  came({ topic, payload }: Publication): void {
    const lane = canaryLane(topic, this.#options.edgeId);
    const proof = this.#lanes[lane];
    if (proof === undefined) return;
    const now = this.#parts.clock.elapsed();
    proof.cameAt = now;
    proof.movedAt = now;
    if (proof.missing !== 'none' && payload.toString() === proof.sent?.name) {
      this.#time.record((now - proof.sent.at) * 1_000);
    }
    proof.missing = 'none';
    this.#judge(lane, proof);
  }

  /** How many of these lane sequences, which the core acknowledges now, are canaries. */
  acknowledged(lane: number, from: number, through: number): number {
    const proof = this.#lanes[lane];
    const sent = proof?.sent ?? null;
    if (proof === undefined || sent === null || proof.isAcknowledged) return 0;
    if (sent.place < from || sent.place > through) return 0;
    this.#wasAcknowledged(proof);
    return 1;
  }

  /** Since one came back on the lane; while none has, since the link is up. 0 where none is sent. */
  ageMs(lane: number): number {
    const since = this.#lanes[lane]?.cameAt ?? this.#upAt;
    return since === null ? 0 : this.#parts.clock.elapsed() - since;
  }

  /** Whether the proof of the lane is too old. */
  isOverdue(lane: number): boolean {
    return this.#upAt !== null && this.ageMs(lane) > this.#patienceMs;
  }

  get #patienceMs(): number {
    return this.#options.everyMs * canariesMissedMax;
  }

  #isDue(proof: LaneProof, now: number): boolean {
    const { sent } = proof;
    if (sent === null) return true;
    // A tick that comes a little early must not skip a whole turn.
    return proof.isAcknowledged && now - sent.at >= this.#options.everyMs * 0.95;
  }

  #send(lane: number, proof: LaneProof): void {
    const { clock, spool } = this.#parts;
    const name = `${this.#run} ${++this.#count}`;
    const place = spool.appendCanary(lane, {
      topic: canaryTopic(this.#options.edgeId, lane),
      payload: Buffer.from(name),
      qos: 1,
      retain: false,
      properties: null,
      acceptedAt: clock.now(),
      origin: '',
    });
    proof.sent = { name, place, at: clock.elapsed() };
    proof.isAcknowledged = false;
    if (proof.missing === 'none') {
      proof.missing = 'up';
      proof.movedAt = proof.sent.at;
    }
    this.#sent.of(lane).add();
  }

  /** Whether anything moved that the one under way waits for: its own lane up, then its way down. */
  #look(lane: number, proof: LaneProof): void {
    const { clock, spool } = this.#parts;
    const acknowledged = spool.acknowledgedOf(lane);
    const { position } = spool.downlinkPosition(lane % laneCount);
    const { marks, sent } = proof;
    const hasRisen = acknowledged > marks.acknowledged;
    const hasSunk = position !== marks.position;
    proof.marks = { acknowledged, position };
    const hasMoved = proof.missing === 'up' ? hasRisen : hasSunk;
    if (hasMoved) proof.movedAt = clock.elapsed();
    if (sent !== null && acknowledged >= sent.place) this.#wasAcknowledged(proof);
  }

  #wasAcknowledged(proof: LaneProof): void {
    proof.isAcknowledged = true;
    if (proof.missing !== 'up') return;
    proof.missing = 'down';
    proof.movedAt = this.#parts.clock.elapsed();
  }

  #judge(lane: number, proof: LaneProof): void {
    const isOverdue = this.isOverdue(lane);
    if (isOverdue === proof.isOverdue) return;
    proof.isOverdue = isOverdue;
    const { log } = this.#parts;
    if (!isOverdue) log.info({ lane }, 'lane proven again');
    else log.warn({ lane, age_ms: Math.round(this.ageMs(lane)) }, 'no canary came back on a lane');
  }

  /** What is not on disk here yet, or waits for a change of the lane map, is no fault of the link. */
  #isStuck(lane: number, proof: LaneProof): boolean {
    const { clock, spool } = this.#parts;
    const { missing, movedAt, sent } = proof;
    if (sent === null || missing === 'none') return false;
    if (missing === 'up' && sent.place > spool.newestOf(lane)) return false;
    return clock.elapsed() - movedAt > this.#patienceMs;
  }

  #proofOf(lane: number): LaneProof {
    let proof = this.#lanes[lane];
    if (proof === undefined) {
      proof = {
        sent: null,
        isAcknowledged: false,
        missing: 'none',
        cameAt: null,
        movedAt: this.#parts.clock.elapsed(),
        marks: { acknowledged: 0, position: 0 },
        isOverdue: false,
      };
      this.#lanes[lane] = proof;
    }
    return proof;
  }
}

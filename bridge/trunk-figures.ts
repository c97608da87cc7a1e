/**
 * What is known of the trunk at this edge, lane by lane: for the operators, by the core and by the
 * metrics. Looked at once a second; reading it costs nothing but additions.
 */
import { isCanary } from '../base/canary.ts';
import type { Clock } from '../base/clock.ts';
import { laneCount } from '../base/limits.ts';
import type { Logger } from '../base/log.ts';
import type { CounterFamily, Metrics } from '../base/metrics.ts';
import {
  type EdgeStats,
  type ForeignStats,
  type LaneStats,
  Rule_Priority,
} from '../proto/gen/trunkline/v1/trunk.ts';
import { Canary } from './canary.ts';
import { DownlinkBooks } from './lane-books.ts';
import { OldestUnacked } from './oldest-unacked.ts';
import type { UplinkLog } from './ports.ts';
import type { Replay } from './replay-meter.ts';
import type { EdgeRules } from './rules/edge-rules.ts';

const lookMs = 1_000;
const lookMsMin = 20;

const priorities = {
  high: Rule_Priority.HIGH,
  normal: Rule_Priority.NORMAL,
  bulk: Rule_Priority.BULK,
} as const;

export interface FiguresParts {
  readonly log: Logger;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly spool: UplinkLog;
  readonly rules: EdgeRules;
}

/** The link in use, as far as it is looked at. */
export interface FiguresLink {
  /** What the core named at welcome. */
  readonly coreCapabilities: readonly string[];
  creditOf(lane: number): number;
  readonly replay: Replay;
  end(reason: string): void;
}

/** Why a link that did not break was replaced. */
export type ReplacedReason = 'no-proof' | 'core-silent' | 'lane-silent' | 'lane-stuck';

export class TrunkFigures {
  readonly canary: Canary;
  readonly books: DownlinkBooks;
  readonly #parts: FiguresParts;
  readonly #oldest: OldestUnacked;
  readonly #replaced: CounterFamily;
  #link: FiguresLink | null = null;
  /** Whether what came down a lane of the log waits for the broker. */
  #isBusy: (logLane: number) => boolean = () => false;
  #foreign: () => readonly ForeignStats[] = () => [];
  #stopLooking: () => void = () => {};

  constructor(
    parts: FiguresParts,
    options: { readonly edgeId: string; readonly canaryMs: number },
  ) {
    this.#parts = parts;
    const { metrics, spool } = parts;
    const { edgeId, canaryMs } = options;
    this.canary = new Canary(parts, { edgeId, everyMs: canaryMs });
    this.books = new DownlinkBooks(metrics);
    this.#oldest = new OldestUnacked(parts);
    this.#replaced = metrics.counters(
      'trunkline_links_replaced_total',
      'Links that were given up though nothing had closed them, by reason.',
      'reason',
    );
    for (let lane = 0; lane < spool.laneCount; lane++) this.#addGauges(String(lane), lane);
    if (parts.log.isLevelEnabled('debug')) this.#tellIds(edgeId);
    const everyMs = canaryMs === 0 ? lookMs : Math.min(lookMs, canaryMs / 4);
    this.#stopLooking = parts.clock.every(Math.max(lookMsMin, everyMs), () => this.#look());
  }

  /** What is delivered to, from now on, and what is told of bridges to brokers of another make. */
  start(
    isBusy: (logLane: number) => boolean,
    foreign: () => readonly ForeignStats[] = () => [],
  ): void {
    this.#isBusy = isBusy;
    this.#foreign = foreign;
  }

  linkUp(link: FiguresLink): void {
    this.#link = link;
    this.canary.linkUp(link.coreCapabilities.includes('canary'));
  }

  linkDown(): void {
    this.#link = null;
    this.canary.linkDown();
  }

  replaced(reason: ReplacedReason): void {
    this.#replaced.by(reason).add();
  }

  /** The uplink lanes whose proof is too old. */
  overdueLanes(): number[] {
    const lanes = Array.from({ length: this.#parts.spool.laneCount }, (_, lane) => lane);
    return lanes.filter((lane) => this.canary.isOverdue(lane));
  }

  stats(): Pick<EdgeStats, 'lanes' | 'rulesVersion' | 'emptyInSeconds' | 'foreign'> {
    const { rules, spool } = this.#parts;
    const lanes = Math.max(spool.laneCount, laneCount);
    return {
      lanes: Array.from({ length: lanes }, (_, lane) => this.#laneStats(lane)),
      rulesVersion: rules.version,
      emptyInSeconds: this.#link?.replay.emptyInSeconds ?? 0,
      foreign: [...this.#foreign()],
    };
  }

  close(): Promise<void> {
    this.#stopLooking();
    return this.#oldest.close();
  }

  #laneStats(lane: number): LaneStats {
    const { spool } = this.#parts;
    return {
      lane,
      backlogMessages: spool.backlogOf(lane),
      oldestUnackedMs: Math.round(this.#oldest.ageMs(lane)),
      proofAgeMs: Math.round(this.canary.ageMs(lane)),
      proofOverdue: this.canary.isOverdue(lane),
      creditBytes: Math.max(0, this.#link?.creditOf(lane) ?? 0),
      uplinkedMessages: spool.acknowledgedOf(lane),
      downlinkedMessages: this.books.delivered.valueOf(lane),
      priority: priorities[spool.priorityOf(lane)],
    };
  }

  #addGauges(name: string, lane: number): void {
    const { metrics, spool } = this.#parts;
    const labels = { lane: name };
    metrics.gauge(
      'trunkline_trunk_backlog',
      'Publications on disk that the core has not made durable, by lane.',
      () => spool.backlogOf(lane),
      labels,
    );
    metrics.gauge(
      'trunkline_trunk_oldest_unacked_seconds',
      'How long the oldest publication has waited for the core, by lane; to a second.',
      () => this.#oldest.ageMs(lane) / 1_000,
      labels,
    );
    metrics.gauge(
      'trunkline_trunk_credit_bytes',
      'Bytes that the core lets this edge send at present, by lane.',
      () => Math.max(0, this.#link?.creditOf(lane) ?? 0),
      labels,
    );
  }

  /** By its id a message can be asked for: how else would an operator know it? */
  #tellIds(edgeId: string): void {
    const { log, spool } = this.#parts;
    spool.onUplink((records) => {
      for (const { lane, laneSequence, publication } of records()) {
        if (isCanary(publication.topic)) continue;
        const id = `${edgeId}/${lane}/${laneSequence}`;
        log.debug({ message_id: id, topic: publication.topic }, 'message spooled');
      }
    });
  }

  #look(): void {
    this.#oldest.look();
    const lane = this.canary.tick(this.#isBusy);
    if (lane === null || this.#link === null) return;
    this.replaced('no-proof');
    this.#link.end(`no canary came back on lane ${lane}, and nothing else moved on it`);
  }
}

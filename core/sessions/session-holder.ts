/**
 * One who reports sessions: an edge, or the core itself for the devices of its gateways. Counts what
 * it reported, and keeps what an edge said of itself.
 */
import type { Edge } from '../../proto/gen/trunkline/v1/fleet.ts';
import type { Session } from '../../proto/gen/trunkline/v1/session.ts';
import type { EdgeStats } from '../../proto/gen/trunkline/v1/trunk.ts';
import type { TrunkReport } from '../fleet/trunk-view.ts';
import { RateWindow } from './rate-window.ts';
import type { EdgeHello } from './session-sink.ts';

/** 'behind': not all that it has has come yet. 'silent': it does not tell now. */
export type CoreStanding = 'whole' | 'behind' | 'silent';

export class SessionHolder {
  readonly id: string;
  /** Its rows carry this number. */
  readonly number: number;
  /** Of the snapshot under way; 0 outside one. */
  snapshot = 0;
  sessionCount = 0;
  connectedSessions = 0;
  lastHeardAtMs = 0;
  interestCount = 0;
  /** Of another core: whether what it tells of its gateways' devices, and of its edges, is known. */
  standing: CoreStanding = 'whole';
  #hello: EdgeHello | null = null;
  /** A new link may come before the old one is known to be dead: both count. */
  #links = 0;
  #connectedAtMs = 0;
  #stats: EdgeStats | null = null;
  readonly #rates = new RateWindow();
  readonly #trunkRates = new RateWindow();

  constructor(id: string, number: number) {
    this.id = id;
    this.number = number;
  }

  get isEdge(): boolean {
    return this.#hello !== null;
  }

  get isConnected(): boolean {
    return this.#links > 0;
  }

  /** An edge that is away while its sessions are still listed, or a core of which not all is known. */
  get isSilent(): boolean {
    if (this.standing === 'behind') return true;
    const isAway = this.isEdge ? !this.isConnected : this.standing === 'silent';
    return isAway && this.sessionCount > 0;
  }

  get region(): string {
    return this.#hello?.region ?? '';
  }

  attach(hello: EdgeHello, now: number): void {
    this.#hello = hello;
    this.#links++;
    this.#connectedAtMs = now;
    this.snapshot = 0;
  }

  detach(): void {
    this.#links = Math.max(0, this.#links - 1);
    if (this.#links > 0) return;
    this.snapshot = 0;
    this.#rates.clear();
    this.#trunkRates.clear();
  }

  report(stats: EdgeStats, elapsed: number): void {
    this.#stats = stats;
    this.#rates.record(elapsed, {
      received: stats.receivedMessages,
      delivered: stats.deliveredMessages,
    });
    this.#trunkRates.record(elapsed, {
      received: stats.uplinkedMessages,
      delivered: stats.downlinkedMessages,
    });
  }

  /** An edge speaks for itself alone; the core's own sessions come labelled. */
  labelled(session: Session): Session {
    if (!this.isEdge) return session;
    const region = session.region === '' ? this.region : session.region;
    if (session.edgeId === this.id && session.region === region) return session;
    return { ...session, edgeId: this.id, region };
  }

  /** What operators see of an edge. */
  view(elapsed: number): Edge {
    const stats = this.#stats;
    const rates = this.#rates.rates(elapsed);
    return {
      edgeId: this.id,
      region: this.region,
      connected: this.isConnected,
      softwareVersion: this.#hello?.softwareVersion ?? '',
      connectedAtMs: this.#connectedAtMs,
      lastHeardAtMs: this.lastHeardAtMs,
      sessionCount: this.sessionCount,
      connectedSessionCount: this.connectedSessions,
      interestCount: this.interestCount,
      receivedMessages: stats?.receivedMessages ?? 0,
      deliveredMessages: stats?.deliveredMessages ?? 0,
      droppedMessages: stats?.droppedMessages ?? 0,
      uplinkedMessages: stats?.uplinkedMessages ?? 0,
      downlinkedMessages: stats?.downlinkedMessages ?? 0,
      backlogMessages: stats?.backlogMessages ?? 0,
      spoolBytes: stats?.spoolBytes ?? 0,
      receivedRate: rates.received,
      deliveredRate: rates.delivered,
      roundTripUs: stats?.roundTripUs ?? 0,
    };
  }

  /** What an edge said of its trunk. */
  trunkReport(elapsed: number): TrunkReport {
    const { received: upRate, delivered: downRate } = this.#trunkRates.rates(elapsed);
    return { edge: this.view(elapsed), stats: this.#stats, upRate, downRate };
  }
}

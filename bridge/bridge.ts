/**
 * The edge's half of the trunk: keeps one link to one core, and a new one when it breaks. What is
 * in the spool goes up, what the core has for this edge comes down, whatever links come and go.
 */
import { Backoff } from '../base/backoff.ts';
import type { Clock } from '../base/clock.ts';
import type { Ledger } from '../base/ledger.ts';
import { laneCount } from '../base/limits.ts';
import type { Logger } from '../base/log.ts';
import type { Counter, Metrics } from '../base/metrics.ts';
import type { Publication } from '../base/publication.ts';
import type { Session } from '../proto/gen/trunkline/v1/session.ts';
import type { EdgeStats } from '../proto/gen/trunkline/v1/trunk.ts';
import { Interest } from './interest.ts';
import { LaneDownlink } from './lane-downlink.ts';
import { Link } from './link.ts';
import type { LocalDelivery, UplinkLog } from './ports.ts';
import { SessionFeed } from './session-feed.ts';
import { Wanted } from './wanted.ts';

export interface BridgeParts {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly spool: UplinkLog;
}

export interface BridgeOptions {
  readonly edgeId: string;
  readonly region: string;
  /** host:port, tried in order. */
  readonly cores: readonly string[];
  readonly token: string;
  readonly softwareVersion: string;
}

export interface BridgeStatus {
  readonly connected: boolean;
  /** Address and name of the core; empty while there is none. */
  readonly core: string;
  readonly coreId: string;
  readonly roundTripUs: number;
  readonly backlog: number;
  readonly spoolBytes: number;
  readonly wantedFilters: number;
  /** Lanes that read the spool because they do not keep up. */
  readonly lanesBehind: number;
}

/** What has to know the broker; there from `start` on. */
interface Local {
  readonly delivery: LocalDelivery;
  readonly downlinks: readonly LaneDownlink[];
  readonly feed: SessionFeed;
}

export class Bridge {
  readonly #parts: BridgeParts;
  readonly #options: BridgeOptions;
  readonly #interest: Interest;
  readonly #wanted = new Wanted();
  readonly #linksLost: Counter;
  readonly #malformed: Counter;
  #local: Local | null = null;
  #link: Link | null = null;
  #running: Promise<void> | null = null;
  #isClosing = false;
  #stopWaiting: () => void = () => {};
  #connectedWaiters: (() => void)[] = [];

  constructor(parts: BridgeParts, options: BridgeOptions) {
    this.#parts = parts;
    this.#options = options;
    this.#interest = new Interest(parts.clock);
    const { metrics } = parts;
    this.#linksLost = metrics.counter('trunkline_links_lost_total', 'Links that broke.');
    this.#malformed = metrics.counter(
      'trunkline_frames_refused_total',
      'Batches from the core that could not be taken apart.',
    );
    metrics.gauge('trunkline_link_up', '1 while a core is connected.', () =>
      this.isConnected ? 1 : 0,
    );
    metrics.gauge(
      'trunkline_link_round_trip_seconds',
      'Smoothed round trip of the control stream.',
      () => this.status().roundTripUs / 1e6,
    );
  }

  get isConnected(): boolean {
    return this.#link?.isUp ?? false;
  }

  /** Connects, and goes on doing so until `close`. */
  start(delivery: LocalDelivery): void {
    if (this.#running !== null) return;
    const { clock, spool } = this.#parts;
    const parts = { ...this.#parts, delivery };
    const downlinks = Array.from({ length: laneCount }, (_, lane) => new LaneDownlink(parts, lane));
    const feed = new SessionFeed(clock, {
      sessions: () => delivery.sessions(),
      stats: () => this.#stats(delivery),
    });
    this.#local = { delivery, downlinks, feed };
    spool.onUplink((records) => this.#link?.take(records));
    this.#running = this.#run(this.#local);
  }

  /** Resolves when a core is connected, or the bridge closes. */
  async onceConnected(): Promise<void> {
    if (this.isConnected || this.#isClosing) return;
    await new Promise<void>((resolve) => this.#connectedWaiters.push(resolve));
  }

  /** Resolves when the link is gone and the broker has taken what was handed to it. */
  async close(): Promise<void> {
    this.#isClosing = true;
    this.#stopWaiting();
    this.#link?.end('closing');
    await this.#running;
    for (const downlink of this.#local?.downlinks ?? []) await downlink.idle();
    this.#announceConnected();
  }

  /** Whether someone beyond this edge wants QoS 0 of the topic. */
  wants(topic: string): boolean {
    return this.#wanted.has(topic);
  }

  /** QoS 0 that is not retained; goes up when someone beyond this edge wants it. */
  offer(publication: Publication): void {
    if (!this.#wanted.has(publication.topic)) return;
    const { ledger } = this.#parts;
    const link = this.#link;
    if (link === null || !link.isUp) ledger.dropped('link-down-qos0');
    else if (!link.offer(publication)) ledger.dropped('link-full-qos0');
  }

  /** True when the core's retained messages for the filter have arrived; false when there is no
   * core, or it does not answer in time. */
  want(filter: string): Promise<boolean> {
    return this.#interest.want(filter);
  }

  unwant(filter: string): void {
    this.#interest.unwant(filter);
  }

  sessionChanged(session: Session): void {
    this.#local?.feed.changed(session);
  }

  sessionRemoved(clientId: string): void {
    this.#local?.feed.removed(clientId);
  }

  status(): BridgeStatus {
    const { spool } = this.#parts;
    const link = this.isConnected ? this.#link : null;
    return {
      connected: link !== null,
      core: link?.address ?? '',
      coreId: link?.coreId ?? '',
      roundTripUs: link?.control.roundTripUs ?? 0,
      backlog: spool.backlog,
      spoolBytes: spool.bytes,
      wantedFilters: this.#interest.size,
      lanesBehind: link?.lanesBehind() ?? 0,
    };
  }

  /** Never rejects: every failure of a link is its reason. */
  async #run(local: Local): Promise<void> {
    const { cores } = this.#options;
    const backoff = new Backoff({ firstMs: 250, maxMs: 5_000 });
    let tries = 0;
    while (!this.#isClosing) {
      const address = cores[tries % cores.length] as string;
      const { wasUp, reason } = await this.#runLink(address, local);
      if (this.#isClosing) return;
      if (wasUp) {
        this.#linksLost.add();
        backoff.reset();
      }
      tries = wasUp ? 0 : tries + 1;
      const level = wasUp ? 'warn' : 'info';
      this.#parts.log[level]({ core: address, reason }, wasUp ? 'link lost' : 'core not reached');
      await this.#wait(backoff.next());
    }
  }

  /** One link from its first connection to its end. */
  async #runLink(address: string, local: Local): Promise<{ wasUp: boolean; reason: string }> {
    let wasUp = false;
    const link: Link = new Link(
      { ...this.#parts, downlinks: local.downlinks },
      { ...this.#options, address },
      {
        up: () => {
          wasUp = true;
          this.#up(link, local);
        },
        wanted: (update) => this.#wanted.apply(update),
        reached: (lane, version) => this.#interest.reached(lane, version),
        malformed: (reason) => {
          this.#malformed.add();
          this.#parts.log.error({ core: address, reason }, 'frame from the core refused');
        },
      },
    );
    this.#link = link;
    const reason = await link.ended;
    this.#link = null;
    this.#interest.detach();
    local.feed.detach();
    return { wasUp, reason };
  }

  #up(link: Link, local: Local): void {
    const { log } = this.#parts;
    const { control, address, coreId } = link;
    log.info({ core: address, core_id: coreId }, 'core connected');
    this.#interest.attach(local.delivery.wantedFilters(), (update) =>
      control.write({ $case: 'interest', value: update }),
    );
    local.feed
      .attach({
        facts: (facts) => control.write({ $case: 'sessions', value: facts }),
        stats: (stats) => control.write({ $case: 'stats', value: stats }),
        drained: () => control.drained(),
      })
      .catch((error: unknown) => {
        log.error({ err: error }, 'sessions cannot be told to the core');
        link.end('sessions cannot be told to the core');
      });
    this.#announceConnected();
  }

  #announceConnected(): void {
    for (const resolve of this.#connectedWaiters.splice(0)) resolve();
  }

  #stats(delivery: LocalDelivery): EdgeStats {
    const { ledger, spool } = this.#parts;
    return {
      ...delivery.stats(),
      uplinkedMessages: ledger.uplinked.value,
      downlinkedMessages: ledger.downlinked.value,
      backlogMessages: spool.backlog,
      spoolBytes: spool.bytes,
      roundTripUs: this.#link?.control.roundTripUs ?? 0,
    };
  }

  #wait(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#parts.clock.after(ms, resolve);
      this.#stopWaiting = () => {
        cancel();
        resolve();
      };
    });
  }
}

/**
 * The edge's half of the trunk: keeps one link to one core, and a new one when it breaks. What is
 * in the spool goes up, what the core has for this edge comes down, whatever links come and go.
 */
import { uplinkLanesMax } from '../base/limits.ts';
import type { Counter } from '../base/metrics.ts';
import type { Publication } from '../base/publication.ts';
import type { Session, SessionEvent } from '../proto/gen/trunkline/v1/session.ts';
import type { EdgeStats, ForeignStats } from '../proto/gen/trunkline/v1/trunk.ts';
import type { BridgeOptions, BridgeParts, BridgeStatus } from './bridge-options.ts';
import { Commands } from './commands.ts';
import { createFlowCounters, type FlowCounters } from './flow-counters.ts';
import { Interest } from './interest.ts';
import { LaneDownlink } from './lane-downlink.ts';
import { Link } from './link.ts';
import { locate } from './locate.ts';
import { coreAddress } from './placement/core-address.ts';
import { CoreBook } from './placement/core-book.ts';
import { CoreProbe } from './placement/core-probe.ts';
import { coreStats } from './placement/core-stats.ts';
import { LinkKeeper } from './placement/link-keeper.ts';
import type { Confirmed, LocalDelivery } from './ports.ts';
import type { Replay } from './replay-meter.ts';
import { SessionFeed } from './session-feed.ts';
import { TrunkFigures } from './trunk-figures.ts';
import { Wanted } from './wanted.ts';

/** What has to know the broker; there from `start` on. */
interface Local {
  readonly delivery: LocalDelivery;
  readonly downlinks: readonly LaneDownlink[];
  readonly feed: SessionFeed;
}

export class Bridge {
  /** Whoever handles a command of the core registers before `start`. */
  readonly commands: Commands;
  readonly #parts: BridgeParts;
  readonly #options: BridgeOptions;
  readonly #interest: Interest;
  readonly #book: CoreBook;
  readonly #keeper: LinkKeeper<Link>;
  readonly #figures: TrunkFigures;
  readonly #malformed: Counter;
  readonly #flow: FlowCounters;
  /** Each core says it anew; that of a core which is not used yet does not count yet. */
  #wanted = new Wanted();
  #local: Local | null = null;
  #isClosing = false;
  #connectedWaiters: (() => void)[] = [];

  constructor(parts: BridgeParts, options: BridgeOptions) {
    this.#parts = parts;
    this.#options = options;
    this.commands = new Commands(parts.log);
    this.commands.handle('rules', (rules) => parts.rules.apply(rules));
    this.commands.handle('locate', (asked) => locate(parts.spool, asked));
    this.#interest = new Interest(parts.clock, parts.rules);
    const { clock, metrics } = parts;
    const { edgeId, region: ownRegion, token, tls = null } = options;
    const { probeEveryMs = 0, canaryMs = 0 } = options;
    const openProbe = (address: string) => new CoreProbe(clock, { address, token, tls });
    this.#figures = new TrunkFigures(parts, { edgeId, canaryMs });
    const random = Math.random;
    this.#book = new CoreBook(
      { clock, metrics, random, openProbe },
      { cores: options.cores.map(coreAddress), ownRegion, probeEveryMs },
    );
    this.#keeper = new LinkKeeper({ ...parts, book: this.#book, random }, ownRegion, {
      open: (address, on) => this.#open(address, on),
      up: (link) => this.#up(link),
      down: () => {
        this.#figures.linkDown();
        this.#interest.detach();
        this.#local?.feed.detach();
      },
    });
    this.commands.handle('redirect', (redirect) => this.#keeper.redirect(redirect));
    this.commands.handle('recall', () => this.#keeper.recall());
    this.#flow = createFlowCounters(metrics);
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

  get #link(): Link | null {
    return this.#keeper.link;
  }

  get isConnected(): boolean {
    return this.#link?.isUp ?? false;
  }

  /** Connects, and goes on doing so until `close`. */
  start(delivery: LocalDelivery, foreign?: () => readonly ForeignStats[]): void {
    if (this.#local !== null) return;
    const { spool } = this.#parts;
    const parts = { ...this.#parts, delivery, figures: this.#figures };
    const downlinks = Array.from(
      { length: uplinkLanesMax },
      (_, lane) => new LaneDownlink(parts, lane),
    );
    const feed = new SessionFeed(this.#parts, {
      sessions: () => delivery.sessions(),
      stats: () => this.#stats(delivery),
    });
    this.#local = { delivery, downlinks, feed };
    this.#figures.start((lane) => downlinks[lane]?.isBusy ?? false, foreign);
    spool.onUplink((records) => this.#link?.take(records));
    spool.onReleased(() => this.#link?.released());
    this.#keeper.start();
  }

  /** Resolves when a core is connected, or the bridge closes. */
  async onceConnected(): Promise<void> {
    if (this.isConnected || this.#isClosing) return;
    await new Promise<void>((resolve) => this.#connectedWaiters.push(resolve));
  }

  /** Resolves when the link is gone and the broker has taken what was handed to it. */
  async close(): Promise<void> {
    this.#isClosing = true;
    await this.#figures.close();
    await this.#keeper.close();
    for (const downlink of this.#local?.downlinks ?? []) await downlink.idle();
    this.#announceConnected();
  }

  /** Whether someone beyond this edge wants QoS 0 of the topic. */
  wants(topic: string): boolean {
    const { topics } = this.#parts.rules;
    if (!topics.hasUp) return this.#wanted.has(topic);
    const passage = topics.up(topic);
    return passage !== null && this.#wanted.has(passage.topic);
  }

  /** QoS 0 that is not retained; goes up when someone beyond this edge wants it. */
  offer(publication: Publication): void {
    if (!this.wants(publication.topic)) return;
    const { ledger } = this.#parts;
    const link = this.#link;
    if (link === null || !link.isUp) ledger.dropped('link-down-qos0');
    else if (!link.offer(publication)) ledger.dropped('link-full-qos0');
  }

  /** What the core has confirmed, when its retained messages for the filter have arrived; null when
   * there is no core, or it does not answer in time. */
  want(filter: string): Promise<Confirmed | null> {
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

  sessionEvent(event: SessionEvent): void {
    this.#local?.feed.happened(event);
  }

  /** How fast the backlog goes, and how long it will last. */
  replay(): Replay {
    const { backlog } = this.#parts.spool;
    return this.#link?.replay ?? { backlog, ratePerSecond: 0, emptyInSeconds: 0 };
  }

  status(): BridgeStatus {
    const { spool } = this.#parts;
    const link = this.isConnected ? this.#link : null;
    return {
      connected: link !== null,
      core: link?.address ?? '',
      coreId: link?.coreId ?? '',
      candidates: this.#book.views(),
      roundTripUs: link?.control.roundTripUs ?? 0,
      backlog: spool.backlog,
      spoolBytes: spool.bytes,
      wantedFilters: this.#interest.size,
      lanesBehind: link?.lanesBehind() ?? 0,
      lanesUnproven: this.#figures.overdueLanes(),
    };
  }

  #open(address: string, on: { readonly welcomed: () => void; readonly up: () => void }): Link {
    const wanted = new Wanted();
    const downlinks = this.#local?.downlinks ?? [];
    return new Link(
      { ...this.#parts, downlinks, canary: this.#figures.canary, flow: this.#flow },
      {
        ...this.#options,
        address,
        tls: this.#options.tls ?? null,
        replayRate: this.#options.replayRate ?? 0,
        compresses: this.#options.compresses ?? false,
        capabilities: [...this.commands.capabilities, 'sources', 'retained', 'canary'],
      },
      {
        welcomed: on.welcomed,
        up: () => {
          this.#wanted = wanted;
          on.up();
        },
        wanted: (update) => wanted.apply(update),
        command: (command, answer) => this.commands.take(command, answer),
        reached: (lane, version) => this.#interest.reached(lane, version),
        silent: (what) => this.#figures.replaced(`${what}-silent`),
        stuck: () => this.#figures.replaced('lane-stuck'),
        malformed: (reason) => {
          this.#malformed.add();
          this.#parts.log.error({ core: address, reason }, 'frame from the core refused');
        },
      },
    );
  }

  #up(link: Link): void {
    const local = this.#local;
    if (local === null) return;
    const { log } = this.#parts;
    const { control, address, coreId } = link;
    log.info({ core: address, core_id: coreId }, 'core connected');
    this.#figures.linkUp(link);
    this.#interest.attach(local.delivery, {
      send: (update) => control.write({ $case: 'interest', value: update }),
      isKnownLog: link.isKnownLog,
    });
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
      ...this.#figures.stats(),
      cores: coreStats(this.#book.views(), this.#link?.address ?? ''),
    };
  }
}

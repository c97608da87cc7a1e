/**
 * Keeps one link to the core that the edge should have: connects, comes back with growing, random
 * waits when it breaks, and moves when another core is the better one or the present one asks for it.
 * A move connects to the new core first; only when that one has said welcome does the old link end, and
 * the lanes begin on the new one.
 */
import { Backoff } from '../../base/backoff.ts';
import type { Clock } from '../../base/clock.ts';
import { TrunklineError } from '../../base/errors.ts';
import { reconnectFirstMs, reconnectFloor, reconnectMaxMs } from '../../base/limits.ts';
import type { Logger } from '../../base/log.ts';
import type { Counter, CounterFamily, Metrics } from '../../base/metrics.ts';
import type { Redirect } from '../../proto/gen/trunkline/v1/trunk.ts';
import type { CoreBook } from './core-book.ts';
import { type Challenge, judge } from './placement.ts';
import { Plan } from './plan.ts';

/** A link, as far as it is kept. */
export interface KeptLink {
  readonly address: string;
  readonly coreId: string;
  readonly coreRegion: string;
  /** When the core that refused it wants to be asked again; 0 when it did not say. */
  readonly retryAfterMs: number;
  /** Resolves with the reason, once everything of it is at rest. */
  readonly ended: Promise<string>;
  /** Lanes may open, as soon as the core has said welcome. */
  proceed(): void;
  end(reason: string): void;
}

export interface LinkKeeperParts {
  readonly log: Logger;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly book: CoreBook;
  readonly random: () => number;
}

export interface LinkHooks<L> {
  /** Makes a link that waits for `proceed`. */
  readonly open: (
    address: string,
    on: { readonly welcomed: () => void; readonly up: () => void },
  ) => L;
  /** Its lanes are open. */
  readonly up: (link: L) => void;
  /** It is at rest; another may follow. */
  readonly down: (link: L) => void;
}

interface Attempt<L> {
  readonly link: L;
  wasUp: boolean;
  /** Why it was left for another; null when it was not. */
  leftFor: string | null;
}

export class LinkKeeper<L extends KeptLink> {
  readonly #parts: LinkKeeperParts;
  readonly #ownRegion: string;
  readonly #hooks: LinkHooks<L>;
  readonly #lost: Counter;
  readonly #deferred: Counter;
  readonly #moves: CounterFamily;
  readonly #backoff: Backoff;
  readonly #plan: Plan;
  #current: Attempt<L> | null = null;
  #successor: Attempt<L> | null = null;
  #challenge: Challenge | null = null;
  #running: Promise<void> | null = null;
  #isClosing = false;
  #stopWaiting: () => void = () => {};

  constructor(parts: LinkKeeperParts, ownRegion: string, hooks: LinkHooks<L>) {
    this.#parts = parts;
    this.#ownRegion = ownRegion;
    this.#hooks = hooks;
    this.#plan = new Plan(parts.clock);
    const { book, metrics, random } = parts;
    const waits = { firstMs: reconnectFirstMs, maxMs: reconnectMaxMs, floor: reconnectFloor };
    this.#backoff = new Backoff({ ...waits, random });
    this.#lost = metrics.counter('trunkline_links_lost_total', 'Links that broke.');
    this.#deferred = metrics.counter(
      'trunkline_attaches_deferred_total',
      'Times that a core told this edge to come again later.',
    );
    this.#moves = metrics.counters(
      'trunkline_link_moves_total',
      'Links that were left for one to another core, by reason.',
      'reason',
    );
    book.onRound(() => this.#judge());
  }

  /** The link in use, up or on its way. */
  get link(): L | null {
    return this.#current?.link ?? null;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Resolves when no link is left. */
  async close(): Promise<void> {
    this.#isClosing = true;
    this.#plan.cancel();
    this.#stopWaiting();
    this.#parts.book.close();
    const links = [this.#current?.link, this.#successor?.link];
    for (const link of links) link?.end('closing');
    await this.#running;
    await Promise.all(links.map((link) => link?.ended));
  }

  /** Throws `unreachable` when there is nowhere to go. Else goes within the time that it was given. */
  redirect({ address, withinMs, reason }: Redirect): void {
    const { book, log, random } = this.#parts;
    const current = this.#current?.link ?? null;
    if (current === null) throw new TrunklineError('unreachable', 'This edge has no link.');
    if (address === current.address) {
      const text = `This edge is at ${address} already; name another core.`;
      throw new TrunklineError('unreachable', text);
    }
    if (address !== '') book.add(address);
    else if (book.chooseBeside(current.address) === null) {
      const text = 'This edge knows no other core that serves; name more in edge.cores.';
      throw new TrunklineError('unreachable', text);
    }
    book.draining(current.address);
    log.info({ core: current.address, to: address, within_ms: withinMs, reason }, 'core redirects');
    this.#plan.set(withinMs * random(), () => {
      const to = address === '' ? book.chooseBeside(current.address) : address;
      if (to !== null) this.#move(to, 'redirect');
    });
  }

  /** The core takes a redirect back: an edge that is not on its way yet stays. */
  recall(): void {
    const current = this.#current?.link;
    if (current === undefined) return;
    this.#plan.cancel();
    this.#parts.book.stays(current.address);
    this.#parts.log.info({ core: current.address }, 'core takes its redirect back');
  }

  /** Never rejects: every failure of a link is its reason. */
  async #run(): Promise<void> {
    await this.#parts.book.start();
    while (!this.#isClosing) {
      const attempt = this.#successor ?? this.#open(this.#parts.book.choose());
      this.#successor = null;
      this.#current = attempt;
      attempt.link.proceed();
      const reason = await attempt.link.ended;
      this.#plan.cancel();
      this.#challenge = null;
      this.#current = null;
      this.#hooks.down(attempt.link);
      if (this.#isClosing) return;
      this.#settle(attempt, reason);
      if (this.#successor === null) await this.#wait(this.#pauseAfter(attempt));
    }
  }

  #open(address: string): Attempt<L> {
    const attempt: Attempt<L> = {
      wasUp: false,
      leftFor: null,
      link: this.#hooks.open(address, {
        welcomed: () => this.#welcomed(attempt),
        up: () => {
          attempt.wasUp = true;
          this.#hooks.up(attempt.link);
        },
      }),
    };
    return attempt;
  }

  #welcomed({ link }: Attempt<L>): void {
    const { book } = this.#parts;
    book.welcomed(link.address, { coreId: link.coreId, region: link.coreRegion });
    const current = this.#current;
    if (this.#successor?.link !== link || current === null) return;
    current.leftFor = link.address;
    current.link.end(`moving to ${link.address}`);
  }

  /** What the end of a link says of its core. */
  #settle(attempt: Attempt<L>, reason: string): void {
    const { book, log } = this.#parts;
    const { link, wasUp, leftFor } = attempt;
    if (wasUp) this.#backoff.reset();
    if (leftFor !== null) {
      book.left(link.address);
      return;
    }
    if (wasUp) this.#lost.add();
    if (link.retryAfterMs > 0) this.#deferred.add();
    else book.failed(link.address);
    const level = wasUp ? 'warn' : 'info';
    log[level]({ core: link.address, reason }, wasUp ? 'link lost' : 'core not reached');
  }

  /** Later than the core asked for, not earlier, and not all at once. */
  #pauseAfter({ link: { retryAfterMs } }: Attempt<L>): number {
    const waitMs = this.#backoff.next();
    if (retryAfterMs === 0) return waitMs;
    return retryAfterMs * (1 + this.#parts.random() / 4);
  }

  #judge(): void {
    const { book, log, random } = this.#parts;
    const current = this.#current;
    if (current === null || !current.wasUp || this.#successor !== null) return;
    // It goes at its own moment, not when probes tell it and all others the same.
    if (this.#plan.isSet) return;
    const now = {
      ownRegion: this.#ownRegion,
      current: current.link.address,
      challenge: this.#challenge,
    };
    const verdict = judge(book.views(), now, random);
    if (verdict.kind === 'move') {
      this.#challenge = null;
      this.#move(verdict.address, verdict.reason);
      return;
    }
    this.#challenge = verdict.challenge;
    if (verdict.challenge !== null) {
      log.debug({ core: now.current, ...verdict.challenge }, 'another core is better');
    }
  }

  #move(to: string, reason: string): void {
    const current = this.#current;
    if (this.#isClosing || this.#successor !== null) return;
    if (current === null || current.link.address === to) return;
    const { book, log } = this.#parts;
    const from = current.link.address;
    const roundTrips = new Map(book.views().map((core) => [core.address, core.roundTripMs]));
    const fields = { from_ms: roundTrips.get(from), to_ms: roundTrips.get(to) };
    log.info({ core: from, to, reason, ...fields }, 'moving to another core');
    const attempt = this.#open(to);
    this.#successor = attempt;
    attempt.link.ended.then(
      (why) => this.#successorEnded(attempt, { current, why }),
      () => {},
    );
    this.#moves.by(reason).add();
  }

  /** Of one that was taken over, its end is met where it runs. */
  #successorEnded(
    attempt: Attempt<L>,
    { current, why }: { readonly current: Attempt<L>; readonly why: string },
  ): void {
    if (this.#successor !== attempt) return;
    this.#successor = null;
    if (this.#isClosing) return;
    const { book, log } = this.#parts;
    const { address, retryAfterMs } = attempt.link;
    if (retryAfterMs > 0) this.#deferred.add();
    else book.failed(address);
    log.warn({ core: current.link.address, to: address, reason: why }, 'move given up');
    if (this.#current === current) this.#tryAnother(current, retryAfterMs);
  }

  /** A core that drains is left for the next one; no core is left for one that is merely nearer. */
  #tryAnother({ link: { address } }: Attempt<L>, retryAfterMs: number): void {
    const { book, random } = this.#parts;
    const isDraining = book.views().some((core) => {
      return core.address === address && core.state === 'draining';
    });
    if (!isDraining) return;
    const waitMs = Math.max(retryAfterMs, reconnectFirstMs) * (1 + random() / 4);
    this.#plan.set(waitMs, () => {
      const to = book.chooseBeside(address);
      if (to !== null) this.#move(to, 'redirect');
    });
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

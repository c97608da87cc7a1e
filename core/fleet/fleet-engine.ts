/**
 * What operators ask, answered once: gRPC, HTTP, the command line and the page all stand on this.
 * Reads the session index; never touches the message path.
 */
import type { Clock } from '../../base/clock.ts';
import { TrunklineError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import type { Counter, Metrics } from '../../base/metrics.ts';
import type { Edge, ListSessionsResponse } from '../../proto/gen/trunkline/v1/fleet.ts';
import type { Session } from '../../proto/gen/trunkline/v1/session.ts';
import type { RulesDesk } from '../rules/rules-desk.ts';
import { parseSessionFilter } from '../sessions/session-filter.ts';
import type { SessionIndex } from '../sessions/session-index.ts';
import type { Drain } from '../trunk/drain.ts';
import { PageTokens } from './page-tokens.ts';
import { SessionScan } from './session-scan.ts';
import { SessionWatch, type WatchEnd } from './session-watch.ts';
import type { TrunkDesk } from './trunk-desk.ts';

const pageSizeDefault = 50;
const pageSizeMax = 1_000;

/** Every change is offered to every watch, so their number bounds what a change costs. */
const watchesMax = 100;

/** Changes that wait for one watcher: some seconds of a large fleet's. */
const changesMax = 10_000;

export interface SessionQuery {
  /** 1 to 1,000; 0 means 50. */
  readonly pageSize: number;
  /** Empty for the first page. */
  readonly pageToken: string;
  readonly filter: string;
}

export interface FleetEngineParts {
  readonly index: SessionIndex;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Absent where rules are not kept. */
  readonly rules?: RulesDesk;
  /** Absent where there are no edges to ask. */
  readonly trunks?: TrunkDesk;
  /** Absent where there are no edges to send away. */
  readonly drain?: Drain;
}

export class FleetEngine {
  readonly #index: SessionIndex;
  readonly #rules: RulesDesk | null;
  readonly #drain: Drain | null;
  readonly #trunks: TrunkDesk | null;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #scan: SessionScan;
  readonly #tokens = new PageTokens();
  readonly #watches = new Set<SessionWatch>();
  readonly #ended: Record<WatchEnd, Counter>;
  readonly #refused: Counter;

  constructor(parts: FleetEngineParts) {
    this.#index = parts.index;
    this.#rules = parts.rules ?? null;
    this.#drain = parts.drain ?? null;
    this.#trunks = parts.trunks ?? null;
    this.#clock = parts.clock;
    this.#log = parts.log;
    this.#scan = new SessionScan(parts);
    const { metrics } = parts;
    const ended = (reason: WatchEnd) =>
      metrics.counter('trunkline_fleet_watches_ended_total', 'Session watches ended, by reason.', {
        reason,
      });
    this.#ended = {
      slow: ended('slow'),
      closed: ended('closed'),
      'core-stopping': ended('core-stopping'),
    };
    this.#refused = metrics.counter(
      'trunkline_fleet_watches_refused_total',
      'Session watches refused because too many were open.',
    );
    metrics.gauge('trunkline_fleet_watches', 'Session watches open.', () => this.#watches.size);
  }

  /**
   * A page of sessions by client identifier. The total is that of the first page for all of them.
   * Throws `query-invalid`, or `overloaded` when too many queries wait.
   */
  async list(query: SessionQuery): Promise<ListSessionsResponse> {
    const pageSize = checkedPageSize(query.pageSize);
    const filter = parseSessionFilter(query.filter);
    const before = query.pageToken === '' ? null : this.#tokens.read(query.filter, query.pageToken);
    const isAll = query.filter.trim() === '';
    const { page, hasMore, total } = await this.#scan.run({
      filter,
      pageSize,
      after: before?.lastKey ?? null,
      total: isAll ? this.#index.size : (before?.total ?? null),
    });
    const lastKey = page.at(-1)?.clientId ?? '';
    const silentEdges = this.#index.silentEdges();
    return {
      sessions: [...page],
      nextPageToken: hasMore ? this.#tokens.issue(query.filter, { lastKey, total }) : '',
      totalSize: total,
      asOfMs: this.#clock.now(),
      complete: silentEdges.length === 0,
      silentEdges,
    };
  }

  /** Throws `not-found`. */
  get(clientId: string): Session {
    const session = this.#index.get(clientId);
    if (session === undefined) {
      const name = JSON.stringify(clientId.slice(0, 256));
      throw new TrunklineError('not-found', `There is no session with client_id ${name}.`);
    }
    return session;
  }

  /**
   * Starts a watch; whoever asked takes events from it and closes it. `onEnd` is told once why it
   * is over. Throws `query-invalid`, or `overloaded` when too many watches are open.
   */
  watch(filterText: string, onEnd: (reason: WatchEnd) => void = () => {}): SessionWatch {
    const filter = parseSessionFilter(filterText);
    if (this.#watches.size >= watchesMax) {
      this.#refused.add();
      this.#log.warn({ watches: watchesMax, filter: filterText }, 'session watch refused');
      throw new TrunklineError(
        'overloaded',
        `There are ${watchesMax} watches of sessions already; close one or try again later.`,
      );
    }
    const watch: SessionWatch = new SessionWatch(this.#index, {
      filter,
      changesMax,
      onEnd: (reason) => {
        this.#watches.delete(watch);
        this.#ended[reason].add();
        if (reason === 'slow') this.#log.warn({ filter: filterText }, 'session watch ended: slow');
        onEnd(reason);
      },
    });
    this.#watches.add(watch);
    return watch;
  }

  /** Throws `unsupported` where rules are not kept. */
  get rules(): RulesDesk {
    if (this.#rules !== null) return this.#rules;
    throw new TrunklineError('unsupported', 'This core keeps no rules.');
  }

  /** Throws `unsupported` where there are no edges to ask. */
  get trunks(): TrunkDesk {
    if (this.#trunks !== null) return this.#trunks;
    throw new TrunklineError('unsupported', 'This core has no edges to ask.');
  }

  /** Throws `unsupported` where there are no edges to send away. */
  get drain(): Drain {
    if (this.#drain !== null) return this.#drain;
    throw new TrunklineError('unsupported', 'This core has no edges to send away.');
  }

  edges(): Edge[] {
    return this.#index.edges();
  }
}

function checkedPageSize(pageSize: number): number {
  if (pageSize === 0) return pageSizeDefault;
  if (Number.isInteger(pageSize) && pageSize > 0 && pageSize <= pageSizeMax) return pageSize;
  throw new TrunklineError(
    'query-invalid',
    `page_size is ${pageSize}; give 1 to ${pageSizeMax}, or 0 for ${pageSizeDefault}.`,
  );
}

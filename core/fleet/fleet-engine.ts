/**
 * What operators ask, answered once: gRPC, HTTP, the command line and the page all stand on this.
 * Reads the session index; never touches the message path.
 */
import type { Clock } from '../../base/clock.ts';
import { TrunklineError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import type { Counter, Metrics } from '../../base/metrics.ts';
import type {
  Edge,
  ExplainSessionRequest,
  ExplainSessionResponse,
  GroupSessionsRequest,
  GroupSessionsResponse,
  ListSessionEventsRequest,
  ListSessionEventsResponse,
  ListSessionsRequest,
  ListSessionsResponse,
  QueryExplain as QueryExplainMessage,
  WatchSessionsRequest,
} from '../../proto/gen/trunkline/v1/fleet.ts';
import type { Session } from '../../proto/gen/trunkline/v1/session.ts';
import type { SessionHistory } from '../history/session-history.ts';
import { explainSession } from '../history/session-story.ts';
import type { RulesDesk } from '../rules/rules-desk.ts';
import type { SessionIndex } from '../sessions/session-index.ts';
import { matcherOf } from '../sessions/session-matcher.ts';
import { clientOf } from '../sessions/session-scan.ts';
import type { Drain } from '../trunk/drain.ts';
import { masked, parseFields } from './field-mask.ts';
import { type QueryExplain, SessionQueries } from './session-queries.ts';
import { SessionWatch, type WatchEnd } from './session-watch.ts';
import type { TrunkDesk } from './trunk-desk.ts';
import { WatchPositions } from './watch-resume.ts';

/** Every change is offered to every watch, so their number bounds what a change costs. */
const watchesMax = 100;

/** Changes that wait for one watcher: some seconds of a large fleet's. */
const changesMax = 10_000;

export interface FleetEngineParts {
  readonly index: SessionIndex;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Absent where rules are not kept. */
  readonly rules?: RulesDesk;
  /** Absent where what happened is not kept. */
  readonly history?: SessionHistory;
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
  readonly #queries: SessionQueries;
  readonly #history: SessionHistory | null;
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
    this.#queries = new SessionQueries(parts);
    this.#history = parts.history ?? null;
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

  /** A page of sessions. Throws `query-invalid`, or `overloaded` when too many queries wait. */
  async list(query: ListSessionsRequest): Promise<ListSessionsResponse> {
    const mask = parseFields(query.fields);
    const { table } = this.#index;
    return this.#queries.list(query, (page) => ({
      sessions: page.rows.map((row) => masked(table.read(row), mask)),
      nextPageToken: page.nextPageToken,
      totalSize: page.total,
      asOfMs: page.asOfMs,
      ...this.#completeness(),
      explain: query.explain ? explainOf(page.explain) : undefined,
    }));
  }

  /** Throws as `list` does. */
  async group(query: GroupSessionsRequest): Promise<GroupSessionsResponse> {
    const page = await this.#queries.group(query);
    return {
      groups: page.groups.map(({ keys, count, values }) => ({
        keys: [...keys],
        count,
        values: [...values],
      })),
      nextPageToken: page.nextPageToken,
      totalGroups: page.totalGroups,
      totalSize: page.totalSessions,
      asOfMs: page.asOfMs,
      ...this.#completeness(),
      explain: query.explain ? explainOf(page.explain) : undefined,
    };
  }

  /** Throws `query-invalid`, or `unsupported` where what happened is not kept. */
  async events(query: ListSessionEventsRequest): Promise<ListSessionEventsResponse> {
    const page = await this.#kept.list(query);
    return { ...page, asOfMs: this.#clock.now(), ...this.#completeness() };
  }

  /** Throws as `events` does. */
  async explain(query: ExplainSessionRequest): Promise<ExplainSessionResponse> {
    const story = await explainSession(query, {
      history: this.#kept,
      session: this.#index.get(query.clientId),
      now: this.#clock.now(),
    });
    return { ...story, ...this.#completeness() };
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
   * Starts a watch, or takes one up; whoever asked takes events from it and closes it. `onEnd` is
   * told once why it is over. Throws `query-invalid`, `position-gone`, or `overloaded` when too many
   * watches are open.
   */
  watch(
    { filter, resumeFrom }: Pick<WatchSessionsRequest, 'filter' | 'resumeFrom'>,
    onEnd: (reason: WatchEnd) => void = () => {},
  ): SessionWatch {
    const now = this.#clock.now();
    const condition = this.#queries.condition(filter, now);
    this.#checkRoom(filter);
    const positions = new WatchPositions(this.#index, filter);
    const matcher = matcherOf(condition, this.#index.table, now);
    const missed =
      resumeFrom === '' ? null : positions.missedSince(resumeFrom, matcher, changesMax);
    const watch: SessionWatch = new SessionWatch(this.#index, {
      matcher,
      clientIdPrefix: clientOf(condition)?.prefix ?? '',
      missed: missed?.changes ?? null,
      matchCount: missed?.matchCount ?? 0,
      positionOf: (sequence) => positions.of(sequence),
      changesMax,
      onEnd: (reason) => {
        this.#watches.delete(watch);
        this.#ended[reason].add();
        if (reason === 'slow') this.#log.warn({ filter }, 'session watch ended: slow');
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

  get #kept(): SessionHistory {
    if (this.#history !== null) return this.#history;
    throw new TrunklineError('unsupported', 'This core keeps no history of sessions.');
  }

  #checkRoom(filter: string): void {
    if (this.#watches.size < watchesMax) return;
    this.#refused.add();
    this.#log.warn({ watches: watchesMax, filter }, 'session watch refused');
    throw new TrunklineError(
      'overloaded',
      `There are ${watchesMax} watches of sessions already; close one or try again later.`,
    );
  }

  #completeness(): { complete: boolean; silentEdges: string[] } {
    const silentEdges = this.#index.silentEdges();
    return { complete: silentEdges.length === 0, silentEdges };
  }
}

function explainOf({ micros, ...explain }: QueryExplain): QueryExplainMessage {
  return { ...explain, durationUs: micros };
}

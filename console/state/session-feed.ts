/**
 * One page of the sessions that match a filter, kept up to date: by a watch while few enough match,
 * else by asking again. A watch that breaks is opened anew, with growing waits.
 */
import { ApiFault, type CoreApi } from '../api/core-api.ts';
import { readEvents, type StreamEvent } from '../api/event-stream.ts';
import type { Session } from '../api/types.ts';
import { Backoff } from './backoff.ts';
import { Feed } from './feed.ts';
import type { SavedQuery } from './saved-queries.ts';
import { type SessionChange, withChanges } from './session-rows.ts';

const pageSize = 50;

/** A watch begins with every session that matches; past this many, asking again is cheaper. */
const watchedMax = 20_000;
const askAgainMs = 3_000;

/** Changes are shown together: a fleet that reconnects would redraw the page thousands of times. */
const showMs = 250;

export interface SessionView extends SavedQuery {
  /** `live`: changes arrive by themselves; `asking`: they are fetched every few seconds. */
  readonly phase: 'loading' | 'live' | 'asking' | 'lost';
  /** Why the filter is refused, in the core's words; empty when it is fine. */
  readonly filterFault: string;
  readonly rows: readonly Session[];
  readonly total: number;
  readonly pageNumber: number;
  readonly hasNext: boolean;
}

const firstView: SessionView = {
  filter: '',
  orderBy: '',
  phase: 'loading',
  filterFault: '',
  rows: [],
  total: 0,
  pageNumber: 1,
  hasNext: false,
};

export class SessionFeed extends Feed<SessionView> {
  readonly #api: CoreApi;
  readonly #backoff = new Backoff({ firstMs: 1_000, maxMs: 15_000 });
  /** Tokens of the pages up to the one shown. */
  #tokens: readonly string[] = [''];
  #nextToken = '';
  #aborter: AbortController | null = null;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #showTimer: ReturnType<typeof setTimeout> | null = null;
  /** Arrived and not yet shown. */
  #changes: SessionChange[] = [];
  /** How many match; counted along by the watch, or null while it has not said. */
  #liveTotal: number | null = null;

  constructor(api: CoreApi, first: SavedQuery) {
    super({ ...firstView, filter: first.filter, orderBy: first.orderBy });
    this.#api = api;
  }

  open(): void {
    this.#restart();
  }

  close(): void {
    this.#aborter?.abort();
    this.#aborter = null;
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.#showTimer !== null) clearTimeout(this.#showTimer);
    this.#showTimer = null;
    this.#changes = [];
    this.#liveTotal = null;
  }

  ask({ filter, orderBy }: SavedQuery): void {
    this.#tokens = [''];
    this.show({ filter, orderBy, filterFault: '', pageNumber: 1 });
    this.#restart();
  }

  nextPage(): void {
    if (this.#nextToken === '') return;
    this.#turnTo([...this.#tokens, this.#nextToken]);
  }

  previousPage(): void {
    if (this.#tokens.length > 1) this.#turnTo(this.#tokens.slice(0, -1));
  }

  #turnTo(tokens: readonly string[]): void {
    this.#tokens = tokens;
    this.#restart();
  }

  #restart(): void {
    this.close();
    this.#aborter = new AbortController();
    void this.#follow(this.#aborter.signal);
  }

  async #follow(signal: AbortSignal): Promise<void> {
    try {
      await this.#loadPage(signal);
      // Changes have no place in another order: those pages are asked for again.
      if (this.view.total <= watchedMax && this.view.orderBy === '') await this.#watch(signal);
      else this.show({ phase: 'asking' });
      this.#again(signal, this.view.phase === 'asking' ? askAgainMs : this.#lost());
    } catch (error) {
      if (!signal.aborted) this.#failed(error, signal);
    }
  }

  #again(signal: AbortSignal, ms: number): void {
    if (signal.aborted) return;
    this.#timer = setTimeout(() => void this.#follow(signal), ms);
  }

  #lost(): number {
    this.#liveTotal = null;
    this.show({ phase: 'lost' });
    return this.#backoff.next();
  }

  #failed(error: unknown, signal: AbortSignal): void {
    if (error instanceof ApiFault && error.kind === 'refused') {
      // A page token is refused when the core that made it is gone; the first page always stands.
      if (this.#tokens.length > 1) this.#turnTo(['']);
      else this.#refused(error.message);
      return;
    }
    this.#again(signal, this.#lost());
  }

  #refused(message: string): void {
    const none = { rows: [], total: 0, pageNumber: 1, hasNext: false };
    this.show({ phase: 'loading', filterFault: message, ...none });
  }

  async #loadPage(signal: AbortSignal): Promise<void> {
    const pageToken = this.#tokens.at(-1) ?? '';
    const { filter, orderBy } = this.view;
    const query = { filter, orderBy, pageSize, pageToken };
    const page = await this.#api.sessions(query, signal);
    if (signal.aborted) return;
    this.#nextToken = page.next_page_token;
    this.show({
      filterFault: '',
      rows: page.sessions,
      total: this.#liveTotal ?? page.total_size,
      pageNumber: this.#tokens.length,
      hasNext: page.next_page_token !== '',
    });
  }

  /** Returns when the core ends the stream. */
  async #watch(signal: AbortSignal): Promise<void> {
    const response = await this.#api.watch(this.view.filter, signal);
    for await (const events of readEvents(response)) {
      for (const event of events) {
        if (event.name === 'snapshot_end') await this.#begin(event, signal);
        else this.#take(event);
      }
    }
  }

  /** The snapshot is whole. The page is asked for once more, for what changed in between. */
  async #begin(event: StreamEvent, signal: AbortSignal): Promise<void> {
    this.#backoff.reset();
    this.#liveTotal = (JSON.parse(event.data) as { session_count: number }).session_count;
    await this.#loadPage(signal);
    if (!signal.aborted) this.show({ phase: 'live' });
  }

  #take({ name, data }: StreamEvent): void {
    if (name !== 'added' && name !== 'changed' && name !== 'removed') return;
    this.#changes.push({ kind: name, session: JSON.parse(data) as Session });
    if (this.#liveTotal !== null && name === 'added') this.#liveTotal++;
    if (this.#liveTotal !== null && name === 'removed') this.#liveTotal--;
    this.#showTimer ??= setTimeout(() => this.#showChanges(), showMs);
  }

  #showChanges(): void {
    this.#showTimer = null;
    const { rows, pageNumber, hasNext } = this.view;
    const bounds = { hasPrevious: pageNumber > 1, hasNext };
    const changed = withChanges(rows, this.#changes, bounds);
    this.#changes = [];
    this.show({ rows: changed, total: this.#liveTotal ?? this.view.total });
    if (changed.length === 0 && pageNumber > 1) this.previousPage();
    else if (changed.length < pageSize / 2 && hasNext) this.#restart();
  }
}

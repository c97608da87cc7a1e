/** Edges, session totals, readiness and rates, asked each second while the core answers. */
import { ApiFault, type CoreApi, type Readiness } from '../api/core-api.ts';
import type { Edge, SessionPage, Trunk } from '../api/types.ts';
import { Feed } from './feed.ts';
import { emptyHistory, type RateHistory, withSample } from './rate-history.ts';

const sampleMs = 1_000;
const retryMs = 3_000;

export interface FleetView {
  /** `locked`: the core asks for a token. */
  readonly phase: 'loading' | 'answering' | 'silent' | 'locked';
  /** Why it is silent, as the start of a sentence. */
  readonly fault: string;
  readonly readiness: Readiness | null;
  readonly edges: readonly Edge[];
  readonly trunks: readonly Trunk[];
  readonly connectedSessions: number;
  readonly keptSessions: number;
  readonly silentEdges: readonly string[];
  readonly asOfMs: number;
  readonly history: RateHistory;
  /** Dropped since the page was opened. */
  readonly droppedSince: number;
}

const firstView: FleetView = {
  phase: 'loading',
  fault: '',
  readiness: null,
  edges: [],
  trunks: [],
  connectedSessions: 0,
  keptSessions: 0,
  silentEdges: [],
  asOfMs: 0,
  history: emptyHistory,
  droppedSince: 0,
};

export class FleetFeed extends Feed<FleetView> {
  readonly #api: CoreApi;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #aborter: AbortController | null = null;
  #droppedAtFirst: number | null = null;

  constructor(api: CoreApi) {
    super(firstView);
    this.#api = api;
  }

  open(): void {
    this.close();
    this.#aborter = new AbortController();
    void this.#sample(this.#aborter.signal);
  }

  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#aborter?.abort();
    this.#aborter = null;
  }

  async #sample(signal: AbortSignal): Promise<void> {
    const startedAt = performance.now();
    let waitMs = sampleMs;
    try {
      await this.#ask(signal);
    } catch (error) {
      if (signal.aborted) return;
      waitMs = retryMs;
      this.#failed(error);
    }
    if (signal.aborted || this.view.phase === 'locked') return;
    const left = Math.max(100, waitMs - (performance.now() - startedAt));
    this.#timer = setTimeout(() => void this.#sample(signal), left);
  }

  async #ask(signal: AbortSignal): Promise<void> {
    const [readiness, edges, trunks, page] = await Promise.all([
      this.#api.readiness(signal),
      this.#api.edges(signal),
      this.#api.trunks(signal),
      // Without a filter the total costs the core nothing, however large the fleet.
      this.#api.sessions({ filter: '', orderBy: '', pageSize: 1, pageToken: '' }, signal),
    ]);
    if (signal.aborted) return;
    this.show({ trunks });
    this.#answered(readiness, edges, page);
  }

  #answered(readiness: Readiness, edges: readonly Edge[], page: SessionPage): void {
    const dropped = sum(edges, (edge) => edge.dropped_messages);
    // An edge that restarts counts from 0 again; the page must not show a negative number.
    this.#droppedAtFirst = Math.min(this.#droppedAtFirst ?? dropped, dropped);
    // A device behind a gateway is never kept, so all kept sessions are at edges.
    const kept = sum(edges, (edge) => edge.session_count - edge.connected_session_count);
    this.show({
      phase: 'answering',
      fault: '',
      readiness,
      edges,
      connectedSessions: Math.max(0, page.total_size - kept),
      keptSessions: kept,
      silentEdges: page.silent_edges,
      asOfMs: page.as_of_ms,
      droppedSince: dropped - this.#droppedAtFirst,
      history: withSample(this.view.history, {
        atMs: Date.now(),
        received: sum(edges, (edge) => edge.received_rate),
        delivered: sum(edges, (edge) => edge.delivered_rate),
      }),
    });
  }

  #failed(error: unknown): void {
    if (error instanceof ApiFault && error.kind === 'unauthorized') {
      this.show({ phase: 'locked', fault: error.message });
      return;
    }
    const none = { atMs: Date.now(), received: null, delivered: null };
    this.show({
      phase: 'silent',
      fault: error instanceof Error ? error.message : String(error),
      readiness: null,
      history: withSample(this.view.history, none),
    });
  }
}

function sum(edges: readonly Edge[], of: (edge: Edge) => number): number {
  return edges.reduce((total, edge) => total + of(edge), 0);
}

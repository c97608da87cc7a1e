/**
 * What this edge knows of each core that it may use: by probes, which run while there are several,
 * and by what its links met. Who wants to decide on it is called after each round of probes.
 */
import type { Clock } from '../../base/clock.ts';
import { firstChoiceMs } from '../../base/limits.ts';
import type { Metrics } from '../../base/metrics.ts';
import type { CoreAddress } from './core-address.ts';
import type { Probe, ProbeResult } from './core-probe.ts';
import { type CoreState, type CoreView, inOrderOfChoice } from './placement.ts';

/** Weight of the newest measurement. */
const newestShare = 0.5;

export interface CoreBookParts {
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly random: () => number;
  readonly openProbe: (address: string) => Probe;
}

export interface CoreBookOptions {
  readonly cores: readonly CoreAddress[];
  readonly ownRegion: string;
  /** Between probes, on average; 0 for none. */
  readonly probeEveryMs: number;
}

interface Entry {
  readonly address: string;
  /** False for one that another core named. */
  readonly isListed: boolean;
  region: string;
  coreId: string;
  state: CoreState;
  roundTripMs: number;
  log: string;
  edges: number;
  /** Counts up over all entries; 0 for one that never failed. */
  failure: number;
  probe: Probe | null;
}

export class CoreBook {
  readonly #parts: CoreBookParts;
  readonly #options: CoreBookOptions;
  readonly #entries = new Map<string, Entry>();
  #failures = 0;
  #isClosed = false;
  #isStarted = false;
  #cancelRound: (() => void) | null = null;
  #onRound: () => void = () => {};

  constructor(parts: CoreBookParts, options: CoreBookOptions) {
    this.#parts = parts;
    this.#options = options;
    for (const { address, region } of options.cores) this.#add(address, region, true);
    for (const entry of this.#entries.values()) this.#measure(entry);
  }

  /** Called after each round. */
  onRound(listener: () => void): void {
    this.#onRound = listener;
  }

  /** Resolves when each core has answered or failed to, and soon in any case. */
  async start(): Promise<void> {
    this.#isStarted = true;
    if (!this.#isProbing) return;
    await new Promise<void>((resolve) => {
      const cancel = this.#parts.clock.after(firstChoiceMs, resolve);
      this.#round().then(() => {
        cancel();
        resolve();
      }, resolve);
    });
  }

  close(): void {
    this.#isClosed = true;
    this.#cancelRound?.();
    for (const { probe } of this.#entries.values()) probe?.close();
  }

  views(): CoreView[] {
    return [...this.#entries.values()].map((entry) => viewOf(entry));
  }

  /** Which core to try next; the one that failed longest ago when none is known to serve. */
  choose(): string {
    const [first] = inOrderOfChoice(this.views(), this.#options.ownRegion, this.#parts.random);
    if (first !== undefined && (first.state === 'serving' || first.state === 'unknown')) {
      return first.address;
    }
    const oldest = [...this.#entries.values()].sort((a, b) => a.failure - b.failure)[0];
    return oldest?.address ?? '';
  }

  /** Where to go from a core that is to be left; null when no other seems to serve. */
  chooseBeside(address: string): string | null {
    const here = this.#entries.get(address);
    const others = this.views().filter((core) => {
      const isOther =
        core.address !== address && (core.coreId === '' || core.coreId !== here?.coreId);
      return isOther && (core.state === 'serving' || core.state === 'unknown');
    });
    const { ownRegion } = this.#options;
    return inOrderOfChoice(others, ownRegion, this.#parts.random)[0]?.address ?? null;
  }

  /** One that a core named is kept as long as it is in use. */
  add(address: string): void {
    if (this.#entries.has(address)) return;
    this.#add(address, '', false);
    this.#schedule();
  }

  /** A core said who it is. */
  welcomed(address: string, facts: { readonly coreId: string; readonly region: string }): void {
    const entry = this.#entries.get(address);
    if (entry === undefined) return;
    entry.coreId = facts.coreId;
    if (facts.region !== '') entry.region = facts.region;
    entry.state = 'serving';
  }

  /** It asks its edges to go; until it is asked again and says otherwise. */
  draining(address: string): void {
    const entry = this.#entries.get(address);
    if (entry !== undefined) entry.state = 'draining';
  }

  /** It asks them no more. */
  stays(address: string): void {
    const entry = this.#entries.get(address);
    if (entry?.state === 'draining') entry.state = 'serving';
  }

  /** No link to it came about, or it broke. */
  failed(address: string): void {
    const entry = this.#entries.get(address);
    if (entry === undefined) return;
    entry.failure = ++this.#failures;
    if (entry.state !== 'draining') entry.state = 'unreachable';
    this.left(address);
  }

  /** No link leads to it any more. */
  left(address: string): void {
    const entry = this.#entries.get(address);
    if (entry === undefined || entry.isListed) return;
    entry.probe?.close();
    this.#entries.delete(address);
  }

  get #isProbing(): boolean {
    return this.#options.probeEveryMs > 0 && this.#entries.size > 1;
  }

  #add(address: string, region: string, isListed: boolean): void {
    this.#entries.set(address, {
      address,
      isListed,
      region,
      coreId: '',
      state: 'unknown',
      roundTripMs: 0,
      log: '',
      edges: 0,
      failure: 0,
      probe: null,
    });
  }

  #measure(entry: Entry): void {
    const { metrics } = this.#parts;
    const labels = { core: entry.address };
    const serving = () => (entry.state === 'serving' ? 1 : 0);
    metrics.gauge('trunkline_core_serving', '1 while the core seems to serve.', serving, labels);
    metrics.gauge(
      'trunkline_core_round_trip_seconds',
      'Smoothed round trip of the probes of a core; 0 until measured.',
      () => entry.roundTripMs / 1_000,
      labels,
    );
  }

  /** Half to one and a half of the interval, so that edges do not probe in step. */
  #schedule(): void {
    if (this.#cancelRound !== null || this.#isClosed || !this.#isStarted || !this.#isProbing)
      return;
    const { clock, random } = this.#parts;
    this.#cancelRound = clock.after(this.#options.probeEveryMs * (0.5 + random()), () => {
      // What it meets is in the entries.
      this.#round().catch(() => {});
    });
  }

  async #round(): Promise<void> {
    this.#cancelRound = () => {};
    await Promise.all([...this.#entries.values()].map((entry) => this.#look(entry)));
    this.#cancelRound = null;
    if (this.#isClosed) return;
    this.#onRound();
    this.#schedule();
  }

  async #look(entry: Entry): Promise<void> {
    entry.probe ??= this.#parts.openProbe(entry.address);
    const result = await entry.probe.look();
    if (!this.#isClosed) takeResult(entry, result);
  }
}

function viewOf({ address, region, coreId, state, roundTripMs, log, edges }: Entry): CoreView {
  return { address, region, coreId, state, roundTripMs, log, edges };
}

function takeResult(entry: Entry, { state, roundTripMs, facts }: ProbeResult): void {
  entry.state = state;
  if (facts !== null) {
    entry.coreId = facts.coreId;
    entry.log = facts.log;
    entry.edges = facts.edges;
    if (facts.region !== '') entry.region = facts.region;
  }
  if (state === 'unreachable') {
    // It may come back elsewhere, or as another.
    entry.roundTripMs = 0;
  } else if (entry.roundTripMs === 0) {
    entry.roundTripMs = roundTripMs;
  } else {
    entry.roundTripMs += (roundTripMs - entry.roundTripMs) * newestShare;
  }
}

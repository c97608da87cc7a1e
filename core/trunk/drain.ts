/**
 * A core that drains: lets no edge in, says so to who asks for its health, and asks the edges that it
 * has to go elsewhere, spread over a time. By word of an operator, which can be taken back, and before
 * the core stops.
 */
import type { Clock } from '../../base/clock.ts';
import { messageOf } from '../../base/errors.ts';
import { commandMs } from '../../base/limits.ts';
import type { Logger } from '../../base/log.ts';
import type { Metrics } from '../../base/metrics.ts';
import type { DrainedEdge } from '../../proto/gen/trunkline/v1/fleet.ts';
import type { AttachedEdge, AttachedEdges } from './attached-edges.ts';
import type { EdgeCommand } from './edge-commands.ts';

/** Time for the edges to go when nothing else is asked: few need not wait, many come at the rate at
 * which another core lets them in. */
const withinMsMin = 250;

export interface DrainParts {
  readonly log: Logger;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly edges: AttachedEdges;
}

export interface DrainOrder {
  /** 0 for what suits the number of edges. */
  readonly withinMs: number;
  /** host:port of another core; empty for any that the edge knows. */
  readonly address: string;
}

export class Drain {
  readonly #parts: DrainParts;
  readonly #attachRate: number;
  readonly #listeners: ((isDraining: boolean) => void)[] = [];
  #isDraining = false;
  #edgeLeft: () => void = () => {};

  /** `attachRate`: edges that a core lets in within a second. */
  constructor(parts: DrainParts, attachRate: number) {
    this.#parts = parts;
    this.#attachRate = attachRate;
    parts.edges.onDetached(() => this.#edgeLeft());
    parts.metrics.gauge('trunkline_draining', '1 while the core sends its edges away.', () =>
      this.#isDraining ? 1 : 0,
    );
  }

  get isDraining(): boolean {
    return this.#isDraining;
  }

  /** Called with each change; must not throw. */
  onChanged(listener: (isDraining: boolean) => void): void {
    this.#listeners.push(listener);
  }

  /** Resolves when each edge has answered whether it goes. Asks those that are left when called again. */
  async begin(order: DrainOrder, deadlineMs = commandMs): Promise<DrainedEdge[]> {
    this.#set(true);
    const { edges, log } = this.#parts;
    const attached = edges.all();
    const withinMs = order.withinMs || this.#spreadMs(attached.length);
    log.info({ edges: attached.length, within_ms: withinMs, to: order.address }, 'core drains');
    const value = { address: order.address, withinMs, reason: 'the core drains' };
    const redirect = { $case: 'redirect', value } as const;
    return Promise.all(attached.map((edge) => this.#tell(edge, redirect, deadlineMs)));
  }

  /** Lets edges in again. Resolves when each edge that is here has answered whether it stays. */
  async undo(deadlineMs = commandMs): Promise<DrainedEdge[]> {
    if (!this.#isDraining) return [];
    this.#parts.log.info('core drains no more');
    this.#set(false);
    const recall = { $case: 'recall', value: {} } as const;
    return Promise.all(this.#parts.edges.all().map((edge) => this.#tell(edge, recall, deadlineMs)));
  }

  /** Resolves when the edges that can go are gone, and after `drainMs` in any case. */
  async finish(drainMs: number): Promise<void> {
    const { clock, edges, log } = this.#parts;
    if (drainMs === 0 || edges.all().length === 0) {
      this.#set(true);
      return;
    }
    const endAt = clock.elapsed() + drainMs;
    const withinMs = Math.min(this.#spreadMs(edges.all().length), Math.ceil(drainMs * 0.8));
    const answers = await this.begin({ withinMs, address: '' }, Math.min(commandMs, drainMs));
    const going = answers.filter(({ error }) => error === '').map(({ edgeId }) => edgeId);
    const isOver = () => going.every((edgeId) => edges.get(edgeId) === undefined);
    await this.#untilLeft(isOver, endAt - clock.elapsed());
    log.info({ going: going.length, left: edges.all().length }, 'core drained');
  }

  #spreadMs(edgeCount: number): number {
    return Math.max(withinMsMin, Math.ceil((edgeCount / this.#attachRate) * 1_000));
  }

  async #tell(
    { edgeId, commands }: AttachedEdge,
    command: EdgeCommand,
    deadlineMs: number,
  ): Promise<DrainedEdge> {
    try {
      await commands.send(command, deadlineMs);
      return { edgeId, error: '' };
    } catch (error) {
      const reason = messageOf(error);
      const what = command.$case;
      this.#parts.log.info(
        { edge: edgeId, command: what, reason },
        'edge does not as the drain asks',
      );
      return { edgeId, error: reason };
    }
  }

  async #untilLeft(isOver: () => boolean, ms: number): Promise<void> {
    if (isOver() || ms <= 0) return;
    await new Promise<void>((resolve) => {
      const cancel = this.#parts.clock.after(ms, resolve);
      this.#edgeLeft = () => {
        if (!isOver()) return;
        cancel();
        resolve();
      };
    });
    this.#edgeLeft = () => {};
  }

  #set(isDraining: boolean): void {
    if (this.#isDraining === isDraining) return;
    this.#isDraining = isDraining;
    for (const listener of this.#listeners) listener(isDraining);
  }
}

/** The edges that are attached now, for those who have something to tell them by command. */
import { TrunklineError } from '../../base/errors.ts';
import type { CommandResult } from '../../proto/gen/trunkline/v1/trunk.ts';
import type { EdgeCommand, EdgeCommands } from './edge-commands.ts';

export type EdgeStage = 'not-wanted' | 'waiting' | 'sent' | 'acknowledged';

/** An edge, as it is seen from outside the trunk. */
export interface AttachedEdge {
  readonly edgeId: string;
  readonly commands: EdgeCommands;
  /** How far a publication of the log has come on its way to this edge. */
  stageOf(topic: string, at: { readonly lane: number; readonly position: number }): EdgeStage;
  /** Filters that it wants from the core, in the core's topics. */
  filters(): Iterable<string>;
}

export class AttachedEdges {
  readonly #edges = new Map<string, AttachedEdge>();
  readonly #listeners: ((edge: AttachedEdge) => void)[] = [];
  readonly #detachListeners: (() => void)[] = [];

  /** Called with each edge that attaches, in the same turn; must not throw. */
  onAttached(listener: (edge: AttachedEdge) => void): void {
    this.#listeners.push(listener);
  }

  /** Called after one has gone; must not throw. */
  onDetached(listener: () => void): void {
    this.#detachListeners.push(listener);
  }

  get(edgeId: string): AttachedEdge | undefined {
    return this.#edges.get(edgeId);
  }

  all(): readonly AttachedEdge[] {
    return [...this.#edges.values()];
  }

  /** As `EdgeCommands.send`; throws `edge-unknown` for one that is not attached. */
  async send(edgeId: string, command: EdgeCommand, deadlineMs?: number): Promise<CommandResult> {
    const edge = this.#edges.get(edgeId);
    if (edge === undefined) {
      throw new TrunklineError('edge-unknown', `Edge "${edgeId}" is not attached to this core.`);
    }
    return edge.commands.send(command, deadlineMs);
  }

  /** Replaces an earlier one of the same name. */
  attach(edge: AttachedEdge): void {
    this.#edges.set(edge.edgeId, edge);
    for (const listener of this.#listeners) listener(edge);
  }

  detach(edge: AttachedEdge): void {
    if (this.#edges.get(edge.edgeId) === edge) this.#edges.delete(edge.edgeId);
    edge.commands.close();
    for (const listener of this.#detachListeners) listener();
  }
}

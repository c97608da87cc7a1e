/** Client identifiers that more than one holder reports, and which of their rows is the current one. */
import type { SessionHolder } from './session-holder.ts';
import type { SessionTable } from './session-table.ts';

export class SessionRivals {
  readonly #table: SessionTable;
  /** The rows of all, the current one among them. */
  readonly #contested = new Map<string, Set<number>>();

  constructor(table: SessionTable) {
    this.#table = table;
  }

  isContested(clientId: string): boolean {
    return this.#contested.size > 0 && this.#contested.has(clientId);
  }

  add(clientId: string, { current, rival }: { current: number; rival: number }): void {
    const rivals = this.#contested.get(clientId) ?? new Set([current]);
    this.#contested.set(clientId, rivals.add(rival));
  }

  /** Ask for the best afterwards, then `settle`. */
  delete(clientId: string, row: number): void {
    this.#contested.get(clientId)?.delete(row);
  }

  /** Where one is left, nothing is contested. */
  settle(clientId: string): void {
    if (this.#contested.get(clientId)?.size === 1) this.#contested.delete(clientId);
  }

  /** The holder's row of the same client identifier; -1 for none. */
  rowOf(current: number, holder: SessionHolder): number {
    const table = this.#table;
    if (table.holder.get(current) === holder.number) return current;
    if (this.#contested.size === 0) return -1;
    for (const row of this.#contested.get(table.clientId(current)) ?? []) {
      if (table.holder.get(row) === holder.number) return row;
    }
    return -1;
  }

  /** The most recently connected; the current one where nothing is contested. */
  best(clientId: string, current: number): number {
    const rivals = this.#contested.get(clientId);
    if (rivals === undefined) return current;
    let best = rivals.has(current) ? current : -1;
    for (const row of rivals) if (best < 0 || this.#isMoreRecent(row, best)) best = row;
    return best;
  }

  /** One that is connected now goes before one that is only kept, whatever the edges' clocks say. */
  #isMoreRecent(a: number, b: number): boolean {
    const table = this.#table;
    const isConnected = table.isConnected(a);
    if (isConnected !== table.isConnected(b)) return isConnected;
    return table.connectedAt(a) > table.connectedAt(b);
  }
}

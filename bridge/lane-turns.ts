/**
 * Whose turn it is among the lanes of one link: the high lane first, the plain ones in turn, bulk when
 * none of them has anything ready, and every so often all the same. A lane that cannot send, for
 * want of credit or because its stream is full, has nothing ready and holds up nobody.
 */
import { bulkTurns } from '../base/limits.ts';
import type { Priority } from './lane-map.ts';

/** Batches of one turn of all lanes together: then the devices have theirs. */
const turnBatchesMax = 32;

export interface TurnTaker {
  /** Sends at most one batch of each kind; answers how many. */
  send(): number;
  /** The turn is over. */
  rest(): void;
}

export class LaneTurns {
  readonly #high: TurnTaker[] = [];
  readonly #normal: TurnTaker[] = [];
  readonly #bulk: TurnTaker[] = [];
  #first = 0;
  #passedOver = 0;
  #turn: NodeJS.Immediate | null = null;
  #isClosed = false;

  add(lane: TurnTaker, priority: Priority): void {
    if (priority === 'high') this.#high.push(lane);
    else if (priority === 'bulk') this.#bulk.push(lane);
    else this.#normal.push(lane);
  }

  /** Sends in the next turn of the event loop, together with what else comes in this one. */
  wake(): void {
    if (this.#turn !== null || this.#isClosed) return;
    this.#turn = setImmediate(() => {
      this.#turn = null;
      this.#takeTurn();
    });
  }

  close(): void {
    this.#isClosed = true;
    if (this.#turn !== null) clearImmediate(this.#turn);
    this.#turn = null;
  }

  #takeTurn(): void {
    let batches = 0;
    while (!this.#isClosed) {
      const sent = this.#round();
      if (sent === 0) break;
      batches += sent;
      if (batches < turnBatchesMax) continue;
      this.wake();
      break;
    }
    for (const lanes of [this.#high, this.#normal, this.#bulk]) {
      for (const lane of lanes) lane.rest();
    }
  }

  #round(): number {
    let sent = 0;
    for (const lane of this.#high) sent += lane.send();
    this.#first = (this.#first + 1) % Math.max(1, this.#normal.length);
    for (let i = 0; i < this.#normal.length; i++) {
      sent += this.#normal[(this.#first + i) % this.#normal.length]?.send() ?? 0;
    }
    if (sent > 0 && ++this.#passedOver < bulkTurns) return sent;
    this.#passedOver = 0;
    for (const lane of this.#bulk) sent += lane.send();
    return sent;
  }
}

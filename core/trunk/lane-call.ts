/**
 * A lane stream from its first message on. It opens when this core has read all of the log that any
 * core had made durable, so that the edge is told no less than it was told elsewhere; what comes before
 * that waits.
 */
import type { LaneOpen, LaneRequest } from '../../proto/gen/trunkline/v1/trunk.ts';
import { openOf } from './first-message.ts';
import type { LaneStream } from './lane-stream.ts';

/** Before the answer an edge sends heartbeats alone. */
const heldMax = 16;

export interface LaneCallHooks<E> {
  readonly caughtUp: () => Promise<void>;
  /** The edge that may open it. Throws when it may not. */
  readonly check: (open: LaneOpen) => E;
  /** The edge has had more of the log than there is. */
  readonly isAhead: (open: LaneOpen) => boolean;
  /** Ends the stream when that is no longer so. */
  readonly renew: (open: LaneOpen) => void;
  readonly open: (open: LaneOpen, by: E) => LaneStream;
  /** Ends the stream with what the work throws. */
  readonly guard: (work: () => void) => void;
}

export class LaneCall<E> {
  readonly #hooks: LaneCallHooks<E>;
  #lane: LaneStream | null = null;
  #held: LaneRequest['message'][] | null = null;
  #isEnded = false;

  constructor(hooks: LaneCallHooks<E>) {
    this.#hooks = hooks;
  }

  /** Null until it is open. */
  get lane(): LaneStream | null {
    return this.#lane;
  }

  /** Throws what the stream has to end with. */
  receive(message: LaneRequest['message']): void {
    if (this.#lane !== null) {
      this.#lane.receive(message);
    } else if (this.#held !== null) {
      if (this.#held.length < heldMax) this.#held.push(message);
    } else {
      this.#open(openOf(message));
    }
  }

  end(): void {
    this.#isEnded = true;
    this.#held = null;
  }

  #open(open: LaneOpen): void {
    const { caughtUp, check, guard } = this.#hooks;
    check(open);
    this.#held = [];
    caughtUp().then(
      () => guard(() => this.#opened(open)),
      (error: unknown) =>
        guard(() => {
          throw error;
        }),
    );
  }

  #opened(open: LaneOpen): void {
    if (this.#isEnded) return;
    // The edge may have gone, or have come anew, meanwhile.
    const by = this.#hooks.check(open);
    if (this.#hooks.isAhead(open)) {
      this.#hooks.renew(open);
      return;
    }
    this.#lane = this.#hooks.open(open, by);
    const held = this.#held ?? [];
    this.#held = null;
    for (const message of held) this.#lane.receive(message);
  }
}

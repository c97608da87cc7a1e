/**
 * What this edge knows better than the core, while the core tells what it holds: messages and deletes
 * of this edge that the core may not have had when it looked. What was on its way up at that moment
 * may be acknowledged by the time the answer is here, so the moment is remembered.
 */
import type { MessageLog } from '../ports.ts';

/** The moment before the core is asked. */
export interface RetainedMark {
  /** Entries with a higher stamp came since. */
  readonly stamp: number;
  /** What has this sequence in the log or a higher one may not have been known to the core. */
  readonly pendingFrom: number;
}

/** Deletes that are noted before those that the core has are forgotten. */
const tidyAfter = 1_000;

export class RetainedSync {
  readonly #messageLog: Pick<MessageLog, 'isUplinkPending' | 'lowestPending'>;
  readonly #marks = new Set<RetainedMark>();
  /** Topics that were deleted here, and the sequence of the delete in the log. */
  readonly #deleted = new Map<string, number>();
  #tidyAt = tidyAfter;

  constructor(messageLog: Pick<MessageLog, 'isUplinkPending' | 'lowestPending'>) {
    this.#messageLog = messageLog;
  }

  mark(stamp: number): RetainedMark {
    const mark = { stamp, pendingFrom: this.#messageLog.lowestPending };
    this.#marks.add(mark);
    return mark;
  }

  settle(mark: RetainedMark): void {
    this.#marks.delete(mark);
    this.#tidy();
  }

  noteDeleted(topic: string, sequence: number): void {
    this.#deleted.set(topic, sequence);
    if (this.#deleted.size > this.#tidyAt) this.#tidy();
  }

  noteKept(topic: string): void {
    if (this.#deleted.size > 0) this.#deleted.delete(topic);
  }

  /** Whether the topic was deleted here, and the core may not know it. */
  isDeleted(topic: string): boolean {
    const sequence = this.#deleted.get(topic);
    return sequence !== undefined && this.isAhead(topic, sequence);
  }

  /** Whether the core may not have had it when it was asked; of what was published here. */
  isAhead(topic: string, sequence: number): boolean {
    if (this.#messageLog.isUplinkPending(topic, sequence)) return true;
    for (const { pendingFrom } of this.#marks) if (sequence >= pendingFrom) return true;
    return false;
  }

  #tidy(): void {
    for (const [topic, sequence] of this.#deleted) {
      if (!this.isAhead(topic, sequence)) this.#deleted.delete(topic);
    }
    // What is left is in the spool, which is bounded.
    this.#tidyAt = this.#deleted.size + tidyAfter;
  }
}

/** QoS 0 to one session: it leaves at once, past everything that waits, or is dropped and counted. */
import type { Limits } from '../base/config.ts';
import type { Run } from '../proto/run.ts';
import type { Delivery } from './delivery.ts';
import type { DeliveryBooks } from './delivery-books.ts';
import type { OutboxSender } from './outbox-sender.ts';
import { takesRuns } from './run-writer.ts';

export interface AtMostOnceParts {
  readonly sender: OutboxSender;
  readonly books: DeliveryBooks;
}

export class AtMostOnce {
  readonly #limits: Limits;
  readonly #parts: AtMostOnceParts;

  constructor(limits: Limits, parts: AtMostOnceParts) {
    this.#limits = limits;
    this.#parts = parts;
  }

  deliver(delivery: Delivery): void {
    const { books, sender } = this.#parts;
    const { sink } = sender;
    if (sink === null) {
      books.dropped('offline-qos0');
      return;
    }
    if (sink.backlogBytes > this.#limits.output_bytes) {
      books.dropped('slow-reader');
      return;
    }
    const fault = sender.writeAtMostOnce(delivery);
    if (fault === null) books.delivered(0);
    else books.dropped(fault);
  }

  /** False when it has to be taken apart. */
  deliverRun(run: Run): boolean {
    const { books, sender } = this.#parts;
    const { sink } = sender;
    if (sink === null || !takesRuns(sink)) return false;
    if (sink.backlogBytes > this.#limits.output_bytes) {
      books.dropped('slow-reader', run.count);
      return true;
    }
    const { buffer, start, end } = run.framesFor(sink.version, 0);
    sink.sendRange(buffer, start, end);
    books.delivered(0, run.count);
    return true;
  }
}

/**
 * An independent checker of a broker's promises. Each message is known by its device and a counter
 * of that device; the checker hears when it was sent, when the broker acknowledged it and each time
 * it came back. A message acknowledged and never received is lost.
 *
 * A message that is both acknowledged and received is forgotten: memory grows with what is under
 * way and not with the length of the run. A copy is known by its counter, which was sent before and
 * is not open any more.
 */
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';

/** What the sending half tells. */
export interface SendBooks {
  sent(deviceId: string, counter: number): void;
  acked(deviceId: string, counter: number): void;
}

export interface LedgerCheckOptions {
  /** Milliseconds that never jump, for latencies. */
  readonly elapsed: () => number;
  /** False at QoS 0, where nothing is acknowledged. */
  readonly acknowledged: boolean;
}

export interface LedgerSummary {
  readonly sent: number;
  readonly acked: number;
  /** Different messages received; copies count as duplicates. */
  readonly received: number;
  /** Acknowledged and not received. */
  readonly lost: number;
  /** Sent and not received, acknowledged or not. */
  readonly missing: number;
  readonly duplicates: number;
  /** Received after a later one of the same topic. */
  readonly reordered: number;
  /** Received and never sent by this fleet. */
  readonly foreign: number;
  readonly latencyMs: LatencySummary;
}

export interface LatencySummary {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

interface OpenMessage {
  readonly sentAt: number;
  isAcked: boolean;
  isReceived: boolean;
}

interface DeviceBook {
  /** Sent, and not yet both acknowledged and received. */
  readonly open: Map<number, OpenMessage>;
  highestSent: number;
  /** Highest counter received, by topic. */
  readonly highestReceived: Map<string, number>;
}

export class LedgerCheck implements SendBooks {
  readonly #options: LedgerCheckOptions;
  readonly #books = new Map<string, DeviceBook>();
  readonly #latencyUs: RecordableHistogram = createHistogram();
  #sent = 0;
  #acked = 0;
  #received = 0;
  #ackedReceived = 0;
  #duplicates = 0;
  #reordered = 0;
  #foreign = 0;

  constructor(options: LedgerCheckOptions) {
    this.#options = options;
  }

  /** Counters of one device ascend. */
  sent(deviceId: string, counter: number): void {
    let book = this.#books.get(deviceId);
    if (book === undefined) {
      book = { open: new Map(), highestSent: 0, highestReceived: new Map() };
      this.#books.set(deviceId, book);
    }
    book.highestSent = counter;
    const sentAt = this.#options.elapsed();
    book.open.set(counter, { sentAt, isAcked: false, isReceived: false });
    this.#sent++;
  }

  acked(deviceId: string, counter: number): void {
    const book = this.#books.get(deviceId);
    const message = book?.open.get(counter);
    if (book === undefined || message === undefined || message.isAcked) return;
    message.isAcked = true;
    this.#acked++;
    if (!message.isReceived) return;
    this.#ackedReceived++;
    book.open.delete(counter);
  }

  received(message: { deviceId: string; counter: number; topic: string }): void {
    const { deviceId, counter, topic } = message;
    const book = this.#books.get(deviceId);
    if (book === undefined || counter > book.highestSent) {
      this.#foreign++;
      return;
    }
    const open = book.open.get(counter);
    if (open === undefined || open.isReceived) {
      this.#duplicates++;
      return;
    }
    this.#receivedFirst(open);
    const highest = book.highestReceived.get(topic) ?? 0;
    if (counter < highest) this.#reordered++;
    else book.highestReceived.set(topic, counter);
    if (open.isAcked || !this.#options.acknowledged) book.open.delete(counter);
  }

  /** Nothing more is to be expected: every message sent is settled. */
  get isSettled(): boolean {
    const answered = this.#options.acknowledged ? this.#acked : this.#sent;
    return answered === this.#sent && this.#received === this.#sent;
  }

  /** Grows with every acknowledgement and receipt: the sign of progress while waiting. */
  get progress(): number {
    return this.#acked + this.#received + this.#duplicates;
  }

  summary(): LedgerSummary {
    const latency = this.#latencyUs;
    const ms = (percentile: number) => latency.percentile(percentile) / 1000;
    return {
      sent: this.#sent,
      acked: this.#acked,
      received: this.#received,
      lost: this.#acked - this.#ackedReceived,
      missing: this.#sent - this.#received,
      duplicates: this.#duplicates,
      reordered: this.#reordered,
      foreign: this.#foreign,
      latencyMs:
        latency.count === 0
          ? { p50: 0, p90: 0, p99: 0, max: 0 }
          : { p50: ms(50), p90: ms(90), p99: ms(99), max: latency.max / 1000 },
    };
  }

  #receivedFirst(open: OpenMessage): void {
    open.isReceived = true;
    this.#received++;
    if (open.isAcked) this.#ackedReceived++;
    const spent = this.#options.elapsed() - open.sentAt;
    this.#latencyUs.record(Math.max(1, Math.round(spent * 1000)));
  }
}

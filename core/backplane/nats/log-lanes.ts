/**
 * The lanes of the log as this core reads and writes them, and how far it came, put down now and then
 * so that a core which starts does not read all of it.
 */
import type { Clock } from '../../../base/clock.ts';
import { messageOf, TrunklineError } from '../../../base/errors.ts';
import { laneCount } from '../../../base/limits.ts';
import type { Logger } from '../../../base/log.ts';
import type { Counter, Latency, Metrics } from '../../../base/metrics.ts';
import type { SourceLane } from '../../../base/source.ts';
import type { Revised } from '../backplane.ts';
import { LaneReader, type LaneState } from './lane-reader.ts';
import { LaneWriter } from './lane-writer.ts';
import type { NatsBatch } from './log-message.ts';
import type { LogRecord } from './log-record.ts';
import type { NatsSession } from './nats-session.ts';
import type { SourceMarks } from './source-marks.ts';
import { Table } from './table.ts';

/** How often the first message of each stream is looked up. */
const oldestMs = 5_000;
const settleMs = 10;
/** How long a core that has just started reads before it says that something is wrong. */
const catchUpMsMax = 10_000;

export interface LogLanesParts extends NatsSession {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly marks: SourceMarks;
}

export interface LogLanesHooks {
  /** Each message of each stream, in order. */
  readonly take: (batch: NatsBatch) => void;
  /** A stream does not have what this core wrote. Resolves when that was looked into. */
  readonly suspect: () => Promise<void>;
}

interface Lane {
  readonly reader: LaneReader;
  readonly writer: LaneWriter;
}

interface Checkpoint extends LaneState {
  readonly epoch: string;
}

export class LogLanes {
  readonly #parts: LogLanesParts;
  readonly #hooks: LogLanesHooks;
  readonly #checkpoints: Table<Checkpoint>;
  readonly #counters: {
    readonly messages: Counter;
    readonly retries: Counter;
    readonly unreadable: Counter;
    readonly ackTime: Latency;
  };
  readonly #oldest: number[] = new Array(laneCount).fill(1);
  #oldestAt = Number.NEGATIVE_INFINITY;
  #record: LogRecord;
  #lanes: Lane[] = [];
  /** Grows with each record: writers of before it have other subjects. */
  #round = 0;

  constructor(parts: LogLanesParts, hooks: LogLanesHooks) {
    this.#parts = parts;
    this.#hooks = hooks;
    this.#record = parts.found;
    this.#checkpoints = new Table(parts, 'read');
    const { metrics } = parts;
    this.#counters = {
      messages: metrics.counter('trunkline_log_commits_total', 'Group commits of the log.'),
      ackTime: metrics.latency('trunkline_log_commit_seconds', 'Time of a group commit.'),
      retries: metrics.counter(
        'trunkline_engine_retries_total',
        'Messages that NATS did not acknowledge and was sent again.',
      ),
      unreadable: metrics.counter(
        'trunkline_log_unreadable_total',
        'Rows of the log that were damaged and passed over.',
      ),
    };
    metrics.gauge(
      'trunkline_engine_overdue_seconds',
      'Age of the oldest unacknowledged write.',
      () => this.overdueMs / 1_000,
    );
  }

  get record(): LogRecord {
    return this.#record;
  }

  lane(lane: number): Lane {
    return this.#lanes[lane] as Lane;
  }

  /** The first message of the stream that can be relied on, as it was a little while ago. */
  oldest(lane: number): number {
    return Math.max(this.#oldest[lane] ?? 1, this.#record.oldest[lane] ?? 1);
  }

  /** How long the oldest write waits for its acknowledgement. */
  get overdueMs(): number {
    return Math.max(0, ...this.#lanes.map(({ writer }) => writer.overdueMs));
  }

  /** Resolves when this core has read what the streams have now. Throws `store-failing`. */
  async caughtUp(): Promise<void> {
    const { clock } = this.#parts;
    const heads = await this.#heads().catch((error: unknown) => {
      const text = `The end of the log cannot be found out: ${messageOf(error)}. Look at the health of NATS.`;
      throw new TrunklineError('store-failing', text, { cause: error });
    });
    const reached = Promise.all(heads.map((seq, lane) => this.lane(lane).reader.reached(seq)));
    let cancel = () => {};
    const late = new Promise<never>((_, reject) => {
      cancel = clock.after(catchUpMsMax, () => {
        const text = `This core did not read up to the end of the log within ${catchUpMsMax / 1_000} s. Look at the health of NATS.`;
        reject(new TrunklineError('store-failing', text));
      });
    });
    try {
      await Promise.race([reached, late]);
    } finally {
      cancel();
    }
  }

  /** From where this core, or another one, had read to. */
  async start(): Promise<void> {
    const found = await Promise.all(
      Array.from({ length: laneCount }, (_, lane) => this.#checkpoints.get(String(lane))),
    );
    await this.refreshOldest();
    this.#open(
      found.map((checkpoint, lane) => {
        const state = this.#stateOf(checkpoint, lane);
        // What was let go meanwhile is not waited for.
        const oldest = this.#oldest[lane] ?? 1;
        return oldest > state.seq + 1 ? { ...state, seq: oldest - 1, id: '' } : state;
      }),
    );
  }

  /** Another log: what is under way is given up, and edges send it again. */
  restart(record: LogRecord): void {
    this.close();
    this.#record = record;
    this.#oldestAt = Number.NEGATIVE_INFINITY;
    this.#oldest.fill(1);
    this.#open(record.base.map((seq) => ({ seq, id: '', marks: [] })));
  }

  async refreshedOldest(lane: number): Promise<number> {
    if (this.#parts.clock.elapsed() - this.#oldestAt > oldestMs) await this.refreshOldest();
    return this.oldest(lane);
  }

  async refreshOldest(): Promise<void> {
    const { clock, names, streams } = this.#parts;
    this.#oldestAt = clock.elapsed();
    await Promise.all(
      this.#oldest.map(async (_, lane) => {
        const { state } = await streams.info(names.logStream(lane));
        this.#oldest[lane] = state.first_seq;
      }),
    );
  }

  /** Puts down how far this core has read, unless another one has done so. `prepare` comes first: what
   * a core that starts there needs. */
  async checkpoint(prepare: (lanes: readonly number[]) => Promise<void>): Promise<void> {
    const { epoch } = this.#record;
    const due: { lane: number; found: Revised<Checkpoint> | null; state: LaneState }[] = [];
    for (const [lane, { reader }] of this.#lanes.entries()) {
      const found = await this.#checkpoints.get(String(lane));
      const isTheirs = found?.value.epoch === epoch && found.value.seq >= reader.seq;
      if (isTheirs) this.#parts.retained.written(lane, found.value.seq);
      else due.push({ lane, found, state: reader.state });
    }
    if (due.length === 0) return;
    await prepare(due.map(({ lane }) => lane));
    for (const { lane, found, state } of due) {
      if (this.#record.epoch !== epoch) return;
      await this.#checkpoints.put(String(lane), { ...state, epoch }, found?.revision ?? 0);
    }
  }

  async settled(): Promise<void> {
    while (this.#lanes.some(({ writer }) => !writer.isIdle)) {
      await new Promise<void>((resolve) => this.#parts.clock.after(settleMs, resolve));
    }
  }

  unreadable(error: unknown): void {
    this.#counters.unreadable.add();
    this.#parts.log.error({ err: error }, 'log message unreadable');
  }

  close(): void {
    const { marks } = this.#parts;
    for (const { reader, writer } of this.#lanes) {
      reader.close();
      writer.close();
    }
    marks.clear();
  }

  /** The last message of each stream. */
  async #heads(): Promise<number[]> {
    const { names, streams } = this.#parts;
    return Promise.all(
      this.#lanes.map(async (_, lane) => {
        const { state } = await streams.info(names.logStream(lane));
        return state.messages === 0 ? 0 : state.last_seq;
      }),
    );
  }

  #open(states: readonly LaneState[]): void {
    this.#round++;
    this.#lanes = states.map((state, lane) => this.#openLane(lane, state));
  }

  #openLane(lane: number, from: LaneState): Lane {
    const { marks, node } = this.#parts;
    const { epoch: logEpoch, generation } = this.#record;
    const baseOf = (source: SourceLane) => marks.through(source) ?? 0;
    for (const mark of from.marks) marks.raise(mark, mark.whole ?? 0);
    const writer = new LaneWriter(
      { ...this.#parts, ...this.#counters },
      {
        lane,
        logEpoch,
        writer: `${node}-${this.#round}`,
        baseOf,
        suspect: () => this.#hooks.suspect(),
      },
    );
    const reader = new LaneReader(
      { ...this.#parts, unreadable: this.#counters.unreadable },
      {
        lane,
        logEpoch,
        from,
        take: (batch, id) => {
          this.#parts.retained.note(batch, generation);
          // Those who wait for it hear that it is durable before anybody else hears of it.
          if (id !== '') writer.seen(id, batch.seq);
          this.#hooks.take(batch);
        },
      },
    );
    return { reader, writer };
  }

  #stateOf(checkpoint: Revised<Checkpoint> | null, lane: number): LaneState {
    if (checkpoint !== null && checkpoint.value.epoch === this.#record.epoch) {
      const { seq, id, marks } = checkpoint.value;
      return { seq, id, marks };
    }
    return { seq: this.#record.base[lane] ?? 0, id: '', marks: [] };
  }
}

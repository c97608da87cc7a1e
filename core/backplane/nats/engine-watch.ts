/**
 * Looks after the engine: whether it answers, and whether it still has what it told to be durable. A
 * stream that was deleted is made again; the log gets a new identity then, so that edges send what
 * they retain.
 */
import type { Clock } from '../../../base/clock.ts';
import { messageOf } from '../../../base/errors.ts';
import type { Logger } from '../../../base/log.ts';
import type { Counter, CounterFamily, Metrics } from '../../../base/metrics.ts';
import type { Publication } from '../../../base/publication.ts';
import type { LogSighting } from '../backplane.ts';
import type { LaneState } from './lane-reader.ts';
import type { LogLanes } from './log-lanes.ts';
import { seqOfPosition } from './log-message.ts';
import type { LogRecord } from './log-record.ts';
import type { NatsSession } from './nats-session.ts';
import { StreamSight } from './stream-sight.ts';
import type { StreamInfo } from './streams.ts';

const lookMs = 1_000;
/** An election of a stream's leader takes 4 to 9 s; edges wait that long, and are told at this. */
const faultMs = 3_000;
/** A look that was answered by a server which is behind is not believed at once. */
const looksMin = 3;
/** How often it is put down how far the log was read, at random between once and twice. */
const checkpointMs = 2_000;

export interface EngineWatchParts extends NatsSession {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly lanes: LogLanes;
}

export interface EngineWatchHooks {
  readonly onFault: () => void;
  /** The log has another identity. */
  readonly onLost: () => void;
}

type Reached = Pick<LaneState, 'seq' | 'id'>;
type Loss = 'deleted' | 'rolled-back';

export class EngineWatch {
  readonly #parts: EngineWatchParts;
  readonly #hooks: EngineWatchHooks;
  readonly #losses: CounterFamily;
  readonly #checkpointFailures: Counter;
  #retained: () => Iterable<Publication> = () => [];
  readonly #retainedSight = new StreamSight();
  readonly #tablesSight = new StreamSight();
  #fault = '';
  #failingSince: number | null = null;
  #failure = '';
  #suspicions = 0;
  #bytes = 0;
  #looking: Promise<void> | null = null;
  #checkpointing: Promise<void> | null = null;
  #nextCheckpointAt = 0;
  #stop: () => void = () => {};
  #isClosed = false;

  constructor(parts: EngineWatchParts, hooks: EngineWatchHooks) {
    this.#parts = parts;
    this.#hooks = hooks;
    const { link, metrics } = parts;
    this.#losses = metrics.counters(
      'trunkline_engine_losses_total',
      'Streams that lost what they had told to be durable, by what happened.',
      'kind',
    );
    this.#checkpointFailures = metrics.counter(
      'trunkline_engine_checkpoint_failures_total',
      'Failed tries to put down how far the log was read.',
    );
    metrics.gauge('trunkline_engine_up', '1 while NATS takes what the core writes.', () =>
      this.#fault === '' ? 1 : 0,
    );
    metrics.gauge('trunkline_log_bytes', 'Bytes of the log on disk.', () => this.#bytes);
    link.onChanged(() => {
      this.#judge();
      this.#lookUnasked();
    });
  }

  /** Empty while all is well. */
  get fault(): string {
    return this.#fault;
  }

  start(retained: () => Iterable<Publication>): void {
    this.#retained = retained;
    this.#stop = this.#parts.clock.every(lookMs, () => this.#lookUnasked());
    this.#lookUnasked();
  }

  /** Resolves when it is known whether something was lost. Never rejects. */
  look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = null;
    });
    return this.#looking;
  }

  /** The engine was put back while no core ran: only an edge knows. A server that is behind is not
   * taken for one that has lost something. */
  async renewEpoch({ lane, logEpoch, position }: LogSighting): Promise<void> {
    const { clock, lanes } = this.#parts;
    for (let looks = 0; looks < looksMin; looks++) {
      if (looks > 0) await new Promise<void>((resolve) => clock.after(lookMs, resolve));
      if (this.#isClosed) return;
      await this.look();
      await lanes.caughtUp();
      const isReached = seqOfPosition(position) <= lanes.lane(lane).reader.seq;
      if (isReached || lanes.record.epoch !== logEpoch) return;
    }
    await this.#renew(new Map([[lane, 'rolled-back']]));
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#stop();
    await this.#checkpointing;
    if (this.#fault === '') await this.#checkpoint();
    this.#isClosed = true;
    await this.#looking;
  }

  #lookUnasked(): void {
    if (this.#isClosed) return;
    this.look().catch((error: unknown) => {
      this.#parts.log.error({ err: error }, 'engine cannot be looked after');
    });
  }

  async #look(): Promise<void> {
    const { clock, log } = this.#parts;
    try {
      await this.#compare();
      this.#failingSince = null;
    } catch (error) {
      this.#failingSince ??= clock.elapsed();
      this.#failure = messageOf(error);
      log.debug({ reason: this.#failure }, 'engine did not answer');
    }
    this.#judge();
    if (this.#fault === '' && clock.elapsed() >= this.#nextCheckpointAt) {
      this.#nextCheckpointAt = clock.elapsed() + checkpointMs * (1 + Math.random());
      this.#checkpointing ??= this.#checkpoint().finally(() => {
        this.#checkpointing = null;
      });
    }
  }

  #judge(): void {
    if (this.#isClosed) return;
    const { clock, lanes, link, log } = this.#parts;
    const failingMs = this.#failingSince === null ? 0 : clock.elapsed() - this.#failingSince;
    let fault = '';
    if (!link.isUp) fault = 'there is no connection to NATS';
    else if (failingMs > faultMs) fault = `JetStream does not answer: ${this.#failure}`;
    else if (lanes.overdueMs > faultMs)
      fault = 'JetStream does not take what is written: is there a quorum of its servers?';
    if ((fault === '') !== (this.#fault === '')) {
      if (fault === '') log.info('engine takes what is written again');
      else log.error({ reason: fault }, 'engine is away');
    }
    if (fault === this.#fault) return;
    this.#fault = fault;
    this.#hooks.onFault();
  }

  async #compare(): Promise<void> {
    const { lanes, records, streams } = this.#parts;
    const { record } = lanes;
    const stored = await records.read().catch(() => null);
    if (stored !== null && stored.value.generation > record.generation) {
      this.#adopt(stored.value);
      return;
    }
    // First: what the readers reach while the streams are asked may be past the answers.
    const reached = record.base.map((_, lane) => lanes.lane(lane).reader.reachedState);
    const infos = await records.infos();
    this.#bytes = infos.reduce((sum, info) => sum + (info?.state.bytes ?? 0), 0);
    const losses = await this.#lossesOf(infos, reached, record);
    if (losses.size === 0) this.#suspicions = 0;
    else if ([...losses.values()].includes('deleted') || ++this.#suspicions >= looksMin) {
      await this.#renew(losses);
      return;
    }
    if ((stored?.value.generation ?? 0) < record.generation) {
      await streams.ensure();
      await records.restore(record, stored?.revision ?? 0);
    }
    await this.#compareTables();
    await this.#compareRetained();
  }

  async #lossesOf(
    infos: readonly (StreamInfo | null)[],
    reached: readonly Reached[],
    record: LogRecord,
  ): Promise<Map<number, Loss>> {
    const losses = new Map<number, Loss>();
    for (const [lane, info] of infos.entries()) {
      if (info === null || info.created !== record.created[lane]) losses.set(lane, 'deleted');
      else if (await this.#isRolledBack(lane, info, reached[lane] as Reached))
        losses.set(lane, 'rolled-back');
    }
    return losses;
  }

  async #isRolledBack(lane: number, { state }: StreamInfo, { id, seq }: Reached): Promise<boolean> {
    const { link, names } = this.#parts;
    if (state.last_seq < seq) return true;
    if (id === '' || seq < state.first_seq) return false;
    const stored = await link.stored(names.logStream(lane), { seq });
    return stored !== null && stored.headers?.get('Nats-Msg-Id') !== id;
  }

  async #renew(losses: ReadonlyMap<number, Loss>): Promise<void> {
    const { lanes, log, records, streams } = this.#parts;
    for (const [lane, kind] of losses) {
      this.#losses.by(kind).add();
      log.error({ lane, kind }, 'engine lost a part of the log: edges send what they retain');
    }
    await streams.ensure();
    const rolledBack = [...losses].filter(([, kind]) => kind === 'rolled-back');
    const before = await records.read();
    const isDone = (before?.value.generation ?? 0) > lanes.record.generation;
    const record = isDone
      ? (before?.value as LogRecord)
      : await records.renew(before, new Set(rolledBack.map(([lane]) => lane)));
    this.#adopt(record);
  }

  #adopt(record: LogRecord): void {
    const { lanes, log } = this.#parts;
    if (record.generation <= lanes.record.generation) return;
    log.warn({ epoch: record.epoch }, 'the log has begun anew');
    this.#suspicions = 0;
    lanes.restart(record);
    this.#hooks.onLost();
  }

  /** Each core puts back what it knows of the records that cores share. */
  async #compareTables(): Promise<void> {
    const { log, losses, names } = this.#parts;
    if (!this.#tablesSight.isLost(await this.#infoOf(names.tableStream))) return;
    this.#losses.by('tables').add();
    log.error('engine lost the records that cores share: they are written again');
    for (const restart of losses) restart();
  }

  /** The stream of retained messages is rebuilt from what this core has. */
  async #compareRetained(): Promise<void> {
    const { lanes, log, names, retained } = this.#parts;
    if (!this.#retainedSight.isLost(await this.#infoOf(names.retainedStream))) return;
    this.#losses.by('retained').add();
    log.error('engine lost retained messages: they are written again');
    retained.noteAll(this.#retained(), lanes.record.generation);
    await retained.write();
  }

  /** Makes the stream when it is not there. */
  async #infoOf(stream: string): Promise<StreamInfo> {
    const { streams } = this.#parts;
    const info = await streams.infoOrNull(stream);
    if (info !== null) return info;
    await streams.ensure();
    return streams.info(stream);
  }

  async #checkpoint(): Promise<void> {
    const { lanes, log, retained } = this.#parts;
    try {
      await lanes.checkpoint(() => retained.write());
    } catch (error) {
      this.#checkpointFailures.add();
      log.info({ reason: messageOf(error) }, 'reading of the log is not put down');
    }
  }
}

/** What a core has in hand when it has found NATS fit for use: the link, the streams, the record. */
import { randomUUID } from 'node:crypto';
import type { Clock } from '../../../base/clock.ts';
import { messageOf, TrunklineError } from '../../../base/errors.ts';
import type { Logger } from '../../../base/log.ts';
import { type LogRecord, LogRecords } from './log-record.ts';
import { Names } from './names.ts';
import { NatsLink } from './nats-link.ts';
import type { NatsOptions } from './nats-options.ts';
import { RetainedKeeper } from './retained-keeper.ts';
import { mayBeAnotherCore, refusalOf, Streams } from './streams.ts';
import { Table } from './table.ts';

/** A cluster that starts with its cores has elected its leaders by then. */
const readyMsMax = 30_000;
const retryMs = 500;
/** A server without JetStream that is alone does not get it by waiting. */
const lackMsMax = 3_000;

export interface NatsSession {
  readonly link: NatsLink;
  readonly names: Names;
  readonly streams: Streams;
  readonly records: LogRecords;
  readonly retained: RetainedKeeper;
  /** Called when the tables were lost, and their stream made again. */
  readonly losses: Set<() => void>;
  /** This run of this core. */
  readonly node: string;
  readonly coreId: string;
  readonly found: LogRecord;
}

export async function openSession(
  parts: { readonly log: Logger; readonly clock: Clock },
  options: NatsOptions,
): Promise<NatsSession> {
  const link = await NatsLink.open(parts.log, { ...options, name: `trunkline ${options.coreId}` });
  try {
    const names = new Names(options.prefix);
    const streams = new Streams(link, names, options);
    const losses = new Set<() => void>();
    const table = new Table<LogRecord>({ ...parts, link, names, streams, losses }, 'log');
    const records = new LogRecords(table, streams, names);
    const found = await readied(
      { ...parts, link, readyMs: options.readyMs ?? readyMsMax },
      async () => {
        await streams.ensure();
        return (await records.read())?.value ?? (await records.renew(null));
      },
    );
    parts.log.info({ server: link.version, epoch: found.epoch }, 'engine ready');
    const retained = new RetainedKeeper({ ...parts, link, names, streams });
    const node = randomUUID();
    const { coreId } = options;
    return { link, names, streams, records, retained, losses, node, coreId, found };
  } catch (error) {
    await link.close();
    throw error;
  }
}

interface Trial {
  readonly log: Logger;
  readonly clock: Clock;
  readonly link: NatsLink;
  readonly readyMs: number;
}

/** Tries again what time may heal. */
async function readied<T>(trial: Trial, work: () => Promise<T>): Promise<T> {
  const { clock, log } = trial;
  const begun = clock.elapsed();
  for (;;) {
    try {
      return await work();
    } catch (error) {
      const ms = clock.elapsed() - begun;
      const isEarly = ms < lackMsMax && mayBeAnotherCore(error);
      const refusal = isEarly ? null : (refusalOf(error) ?? lackOf(trial, ms, error));
      if (refusal !== null) throw refusal;
      log.info({ reason: messageOf(error) }, 'engine not ready yet');
    }
    await new Promise<void>((resolve) => clock.after(retryMs, resolve));
  }
}

/** What stands in the way for good, as far as can be told after so long; null while it may heal. */
function lackOf({ link, readyMs }: Trial, ms: number, error: unknown): TrunklineError | null {
  const reason = messageOf(error);
  if (link.refused !== '') {
    const text = `The account of this core may not do at NATS what it has to (${link.refused}). Allow it $JS.API.>, $JS.FC.>, $JS.ACK.>, _INBOX.> and the subjects of nats.prefix.`;
    return new TrunklineError('not-authorized', text, { cause: error });
  }
  if (!link.hasJetStream && ms > lackMsMax) {
    const text = `JetStream does not answer at this NATS server (${reason}). Enable it with "jetstream" in the server's configuration.`;
    return new TrunklineError('unsupported', text, { cause: error });
  }
  if (ms < readyMs) return null;
  const text = `NATS is connected, but JetStream did not get ready within ${readyMs / 1_000} s (${reason}). Check that most of the cluster's servers run and see each other.`;
  return new TrunklineError('unreachable', text, { cause: error });
}

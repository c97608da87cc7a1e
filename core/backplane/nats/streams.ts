/**
 * The streams that the backplane keeps: made when they are missing, brought up to the settings when
 * they differ, and held against what was asked for, because old servers pass over what they do not
 * know.
 */

import { messageOf, TrunklineError } from '../../../base/errors.ts';
import { laneCount } from '../../../base/limits.ts';
import type { Names } from './names.ts';
import { ApiError, type NatsLink } from './nats-link.ts';

/** By this a message that is sent twice is known, at the least. */
const duplicateWindowSeconds = 600;

const nanoseconds = 1_000_000_000;
const streamNotFound = 10_059;

export interface StreamSettings {
  /** 0: 3 in a cluster, else 1. */
  readonly replicas: number;
  readonly logBytes: number;
  readonly logSeconds: number;
}

export interface StreamInfo {
  /** When it was made; another one than before for one that was made anew. */
  readonly created: string;
  readonly state: {
    readonly first_seq: number;
    readonly last_seq: number;
    readonly bytes: number;
    readonly messages: number;
  };
  readonly config: StreamConfig;
}

interface StreamConfig {
  readonly name: string;
  readonly subjects: readonly string[];
  readonly retention: string;
  readonly storage: string;
  readonly num_replicas: number;
  readonly discard: string;
  readonly max_age: number;
  readonly max_bytes: number;
  readonly max_msgs_per_subject: number;
  readonly duplicate_window: number;
  readonly allow_direct: boolean;
  readonly deny_delete: boolean;
}

export class Streams {
  readonly #link: NatsLink;
  readonly #configs: readonly StreamConfig[];

  constructor(link: NatsLink, names: Names, settings: StreamSettings) {
    this.#link = link;
    const replicas = settings.replicas || (link.isCluster ? 3 : 1);
    const base = {
      retention: 'limits',
      storage: 'file',
      num_replicas: replicas,
      discard: 'old',
      allow_direct: true,
      deny_delete: false,
    };
    const log = (lane: number) => ({
      ...base,
      name: names.logStream(lane),
      subjects: [names.logSubjects(lane)],
      max_age: settings.logSeconds * nanoseconds,
      max_bytes: Math.max(1, Math.floor(settings.logBytes / laneCount)),
      max_msgs_per_subject: -1,
      duplicate_window: Math.min(duplicateWindowSeconds, settings.logSeconds) * nanoseconds,
    });
    const state = (name: string, subjects: string) => ({
      ...base,
      name,
      subjects: [subjects],
      max_age: 0,
      max_bytes: -1,
      max_msgs_per_subject: 1,
      duplicate_window: 120 * nanoseconds,
    });
    this.#configs = [
      ...Array.from({ length: laneCount }, (_, lane) => log(lane)),
      state(names.retainedStream, names.retainedSubjects),
      state(names.tableStream, names.tableSubjects),
    ];
  }

  /** Throws `unsupported`, `not-authorized` or `store-failing` with a sentence. */
  async ensure(): Promise<void> {
    for (const config of this.#configs) await this.#ensure(config);
  }

  async info(stream: string): Promise<StreamInfo> {
    return await this.#link.call<StreamInfo>(`STREAM.INFO.${stream}`);
  }

  /** Null for one that is not there. */
  async infoOrNull(stream: string): Promise<StreamInfo | null> {
    try {
      return await this.info(stream);
    } catch (error) {
      if (error instanceof ApiError && error.errorCode === streamNotFound) return null;
      throw error;
    }
  }

  async #ensure(config: StreamConfig): Promise<void> {
    const present = await this.infoOrNull(config.name);
    const verb = present === null ? 'CREATE' : 'UPDATE';
    if (present !== null && differenceOf(present.config, config) === null) return;
    const made = await this.#link.call<StreamInfo>(`STREAM.${verb}.${config.name}`, config);
    const difference = differenceOf(made.config, config);
    if (difference === null) return;
    const text = `NATS made the stream ${config.name} with ${difference}: the server does not do what was asked for. Upgrade it, or remove what stands in the way.`;
    throw new TrunklineError('unsupported', text);
  }
}

function differenceOf(made: StreamConfig, asked: StreamConfig): string | null {
  for (const [key, value] of Object.entries(asked)) {
    const own = made[key as keyof StreamConfig];
    if (JSON.stringify(own ?? false) !== JSON.stringify(value)) {
      return `${key} = ${JSON.stringify(own)} in place of ${JSON.stringify(value)}`;
    }
  }
  return null;
}

const subjectsOverlap = 10_065;

/** What a server also answers while it makes the same stream for another core. */
export function mayBeAnotherCore(error: unknown): boolean {
  return error instanceof ApiError && error.errorCode === subjectsOverlap;
}

/** A sentence with a remedy for what JetStream refuses at the start; null for what time may heal. */
export function refusalOf(error: unknown): TrunklineError | null {
  if (error instanceof TrunklineError) return error;
  if (!(error instanceof ApiError)) return null;
  const reason = messageOf(error);
  if (error.errorCode === 10_039 || error.errorCode === 10_076) {
    const text = `JetStream is not enabled for the account of this core (${reason}). Enable it with "jetstream" in the server's configuration, and for the account.`;
    return new TrunklineError('unsupported', text, { cause: error });
  }
  if ([10_023, 10_047, 10_028, 10_120].includes(error.errorCode)) {
    const text = `JetStream has no room for the streams of this core (${reason}). Raise its storage limits, or lower limits.log_bytes.`;
    return new TrunklineError('store-failing', text, { cause: error });
  }
  if (error.errorCode === 10_074 || /replicas > 1 not supported/.test(reason)) {
    const text = `NATS cannot keep so many copies (${reason}). Set nats.replicas to 1 for a single server.`;
    return new TrunklineError('config-invalid', text, { cause: error });
  }
  if (error.errorCode === subjectsOverlap || error.errorCode === 10_058) {
    const text = `Other streams of NATS stand in the way (${reason}). Set nats.prefix to a name that nobody else uses.`;
    return new TrunklineError('config-invalid', text, { cause: error });
  }
  return null;
}

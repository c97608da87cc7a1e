/**
 * Small records by key, changed by compare-and-set: the last message of each subject of one stream.
 */
import type { Clock } from '../../../base/clock.ts';
import type { Logger } from '../../../base/log.ts';
import type { Revised, SharedTable, TableListener } from '../backplane.ts';
import { Follower } from './follower.ts';
import type { Names } from './names.ts';
import { ApiError, type NatsLink } from './nats-link.ts';
import type { Streams } from './streams.ts';

const wrongLastSequence = 10_071;

export interface TableParts {
  readonly log: Logger;
  readonly clock: Clock;
  readonly link: NatsLink;
  readonly names: Names;
  readonly streams: Streams;
  /** Called when the stream of all tables was lost, and made again. */
  readonly losses: Set<() => void>;
}

export class Table<T extends object> implements SharedTable<T> {
  readonly #parts: TableParts;
  readonly #link: NatsLink;
  readonly #names: Names;
  readonly #name: string;

  /** Keys may be any text; names are of letters. */
  constructor(parts: TableParts, name: string) {
    this.#parts = parts;
    this.#link = parts.link;
    this.#names = parts.names;
    this.#name = name;
  }

  async get(key: string): Promise<Revised<T> | null> {
    const subject = this.#names.tableSubject(this.#name, key);
    const stored = await this.#link.stored(this.#names.tableStream, { last_by_subj: subject });
    if (stored === null || stored.data.length === 0) return null;
    const revision = Number(stored.headers?.get('Nats-Sequence') ?? 0);
    return { value: JSON.parse(stored.string()) as T, revision };
  }

  /** The new revision; null when another one was written since `revision`, which is 0 for none. */
  async put(key: string, value: T, revision: number): Promise<number | null> {
    const subject = this.#names.tableSubject(this.#name, key);
    try {
      const ack = await this.#link.publish(subject, Buffer.from(JSON.stringify(value)), {
        'Nats-Expected-Last-Subject-Sequence': String(revision),
      });
      return ack.seq;
    } catch (error) {
      if (error instanceof ApiError && error.errorCode === wrongLastSequence) return null;
      throw error;
    }
  }

  async follow(listener: TableListener<T>): Promise<() => void> {
    const { losses, streams } = this.#parts;
    const { state } = await streams.info(this.#names.tableStream);
    let follower: Follower | null = null;
    await new Promise<void>((resolve) => {
      follower = this.#follower(listener, resolve);
      if (state.messages === 0) resolve();
    });
    const restart = () => {
      follower?.close();
      follower = this.#follower(listener, () => {});
      listener.lost();
    };
    losses.add(restart);
    return () => {
      losses.delete(restart);
      follower?.close();
    };
  }

  #follower(listener: TableListener<T>, loaded: () => void): Follower {
    return new Follower(this.#parts, {
      stream: this.#names.tableStream,
      from: 1,
      take: ({ message, pending, seq }) => {
        const key = this.#names.tableKey(this.#name, message.subject);
        try {
          if (key !== null) listener.record(key, { value: message.json<T>(), revision: seq });
        } catch (error) {
          this.#parts.log.error({ err: error, key }, 'shared record unreadable');
        }
        if (pending === 0) loaded();
      },
    });
  }
}

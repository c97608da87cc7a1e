/**
 * What is appended at this core: cut by lanes, handed to their writers, and answered when the readers
 * have passed it. Of an edge, how far it was taken here is remembered, so that a gap is refused.
 */
import type { Clock } from '../../../base/clock.ts';
import { TrunklineError } from '../../../base/errors.ts';
import type { Logger } from '../../../base/log.ts';
import type { SourceLane } from '../../../base/source.ts';
import type { Appended, LogAppend, LogSource } from '../backplane.ts';
import { partsOf } from '../lane-parts.ts';
import type { LogLanes } from './log-lanes.ts';
import type { LogItem } from './log-message.ts';
import { keyOf, type SourceMarks } from './source-marks.ts';

/** One object stands for a source, whoever asks. */
interface Staged {
  readonly source: SourceLane;
  through: number;
}

/** What enters at a core is given up after this; edges wait, they have it on disk. */
const appendMsMax = 15_000;
export interface AppendsParts {
  readonly log: Logger;
  readonly clock: Clock;
  readonly lanes: LogLanes;
  readonly marks: SourceMarks;
}

export class Appends {
  readonly #parts: AppendsParts;
  readonly #lanes: LogLanes;
  readonly #marks: SourceMarks;
  /** How far each lane of an edge was taken by this core; may be ahead of what is durable. */
  readonly #staged = new Map<string, Staged>();

  constructor(parts: AppendsParts) {
    this.#parts = parts;
    this.#lanes = parts.lanes;
    this.#marks = parts.marks;
  }

  /** The log has begun anew. */
  clear(): void {
    this.#staged.clear();
  }

  openSource(
    { edgeId: origin, epoch }: { readonly edgeId: string; readonly epoch: string },
    lane: number,
    oldestSequence: number,
  ): number {
    const source = { origin, epoch, lane };
    const known = this.#marks.through(source);
    if (known !== undefined && known < oldestSequence - 1) {
      const fields = { edge: origin, lane, first: known + 1, through: oldestSequence - 1 };
      this.#parts.log.warn(fields, 'edge sequences were acknowledged that this log does not have');
    }
    this.#marks.raise(source, oldestSequence - 1);
    const through = this.#marks.through(source) ?? 0;
    // What is under way and not durable yet comes again; the readers know it.
    this.#stagedOf(source).through = through;
    return through;
  }

  append(append: LogAppend): Promise<Appended> {
    return append.source === null
      ? this.#appendOwn(append)
      : this.#appendFrom(append, append.source);
  }

  /** What enters at this core: nobody has it but the one who waits for the answer. */
  async #appendOwn(append: LogAppend): Promise<Appended> {
    const parts = partsOf(append.lane, append.publications);
    let left = parts.length;
    const positions = await Promise.all(
      parts.map(({ lane, publications }) => {
        const items = publications.map((publication) => ({ publication, from: null }));
        return this.#withinTime(lane, items, (firstPosition) => {
          if (--left === 0) append.onDurable?.({ firstPosition, repeats: 0 });
        });
      }),
    );
    return { firstPosition: positions[0] as number, repeats: 0 };
  }

  #withinTime(
    lane: number,
    items: readonly LogItem[],
    durable: (position: number) => void,
  ): Promise<number> {
    const { writer } = this.#lanes.lane(lane);
    return new Promise((resolve, reject) => {
      const part = {
        items,
        done: (position: number | null) => {
          cancel();
          if (position === null) {
            reject(lostError());
            return;
          }
          durable(position);
          resolve(position);
        },
      };
      const cancel = this.#parts.clock.after(appendMsMax, () => {
        const isOut = writer.withdraw(part);
        const rest = isOut ? 'nothing of it was sent' : 'it may be in the log all the same';
        const text = `The log did not take it within ${appendMsMax / 1_000} s; ${rest}. Look at the health of NATS.`;
        reject(new TrunklineError('store-failing', text));
      });
      writer.append(part);
    });
  }

  #appendFrom(append: LogAppend, from: LogSource): Promise<Appended> {
    const { edgeId: origin, epoch, lane } = from;
    const { publications } = append;
    const staged = this.#stagedOf({ origin, epoch, lane });
    const { source } = staged;
    const last = from.firstSequence + publications.length - 1;
    if (from.firstSequence > staged.through + 1) {
      const text = `Edge ${origin} sent sequence ${from.firstSequence} on lane ${lane}, but ${staged.through + 1} is next: the lane starts again from there.`;
      return Promise.reject(new TrunklineError('lane-gap', text));
    }
    const repeats = Math.min(publications.length, staged.through - from.firstSequence + 1);
    staged.through = Math.max(staged.through, last);
    const news = repeats === 0 ? publications : publications.slice(repeats);
    const firstSequence = from.firstSequence + repeats;
    return new Promise((resolve, reject) => {
      let firstPosition = 0;
      for (const cut of news.length === 0 ? [] : partsOf(append.lane, news)) {
        const items = cut.publications.map((publication, i) => {
          const sequence = firstSequence + (cut.indexes?.[i] ?? i);
          return { publication, from: { source, sequence } };
        });
        const done = (position: number | null) => {
          firstPosition ||= position ?? 0;
        };
        this.#lanes.lane(cut.lane).writer.append({ items, done });
      }
      this.#marks.whenThrough(source, {
        through: last,
        done: () => {
          append.onDurable?.({ firstPosition, repeats });
          // After the listeners, which hear of it in this turn, and after its position is known.
          queueMicrotask(() => resolve({ firstPosition, repeats }));
        },
        lost: () => reject(lostError()),
      });
    });
  }

  #stagedOf(source: SourceLane): Staged {
    const key = keyOf(source);
    let staged = this.#staged.get(key);
    if (staged === undefined) {
      staged = { source, through: this.#marks.through(source) ?? 0 };
      this.#staged.set(key, staged);
    }
    return staged;
  }
}

function lostError(): TrunklineError {
  const text = 'The log was begun anew, because NATS lost some of it: send it again.';
  return new TrunklineError('store-failing', text);
}

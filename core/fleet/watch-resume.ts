/**
 * Takes up a watch where it was left. The index knows of each session when it changed last, and who
 * left: that is enough to tell everything a watcher has missed, each session once, as it is now.
 */
import { createHash } from 'node:crypto';
import { TrunklineError } from '../../base/errors.ts';
import type { WatchSessionsResponse } from '../../proto/gen/trunkline/v1/fleet.ts';
import { chunkRows } from '../sessions/columns/columns.ts';
import type { SessionIndex } from '../sessions/session-index.ts';
import type { Matcher } from '../sessions/session-matcher.ts';
import { nameOnly } from './session-watch.ts';

type Change = NonNullable<WatchSessionsResponse['change']>;

export interface Missed {
  readonly changes: readonly Change[];
  /** How many match now. */
  readonly matchCount: number;
}

/** Positions of one query in the changes of one index. */
export class WatchPositions {
  readonly #index: SessionIndex;
  readonly #prefix: string;

  constructor(index: SessionIndex, filter: string) {
    this.#index = index;
    const digest = createHash('sha256').update(filter).digest('hex').slice(0, 8);
    this.#prefix = `${index.epoch}.${digest}.`;
  }

  of(sequence: number): string {
    return this.#prefix + sequence.toString(36);
  }

  /**
   * What has changed since; at most `changesMax` sessions that match. Throws `position-gone` when
   * that can't be told, `query-invalid` for what is no position of this query.
   */
  missedSince(position: string, matcher: Matcher, changesMax: number): Missed {
    const [epoch = '', digest = '', text = '', ...more] = position.split('.');
    if (!/^[0-9a-f]{12}$/.test(epoch) || !/^[0-9a-z]{1,11}$/.test(text) || more.length > 0) {
      throw new TrunklineError(
        'query-invalid',
        'resume_from is not valid: it is no position of a watch.',
      );
    }
    if (epoch !== this.#index.epoch)
      throw tooOld('this core has been started since, or is another one');
    if (`${epoch}.${digest}.` !== this.#prefix) {
      throw new TrunklineError(
        'query-invalid',
        'resume_from is not valid: it belongs to a watch with another filter.',
      );
    }
    const sequence = Number.parseInt(text, 36);
    if (sequence > this.#index.sequence) throw tooOld('it is ahead of this core');
    if (!this.#index.departures.reaches(sequence))
      throw tooOld('too many sessions have ended since');
    return this.#missed(sequence, matcher, changesMax);
  }

  #missed(sequence: number, matcher: Matcher, changesMax: number): Missed {
    const { table, departures } = this.#index;
    const rows: number[] = [];
    const gone: string[] = [];
    let matchCount = 0;
    for (let chunk = 0; chunk < table.chunkCount; chunk++) {
      const mask = (table.live.chunks[chunk] as Uint8Array).slice();
      matcher.narrow(chunk, mask);
      for (let i = 0; i < mask.length; i++) matchCount += mask[i] as number;
      for (const row of this.#changedRows(chunk, sequence)) {
        if (mask[row % chunkRows] === 1) rows.push(row);
        else gone.push(table.clientId(row));
      }
    }
    if (rows.length > changesMax) throw tooOld('too many sessions have changed since');
    for (const clientId of departures.after(sequence)) {
      if (this.#index.rowOf(clientId) < 0) gone.push(clientId);
    }
    const changes: Change[] = [
      ...gone.map((clientId): Change => ({ $case: 'removed', value: nameOnly(clientId) })),
      ...rows.map((row): Change => ({ $case: 'changed', value: table.read(row) })),
    ];
    return { changes, matchCount };
  }

  #changedRows(chunk: number, sequence: number): number[] {
    const { table } = this.#index;
    const live = table.live.chunks[chunk] as Uint8Array;
    const changedAt = table.changedAt.chunks[chunk] as Float64Array;
    const rows: number[] = [];
    for (let i = 0; i < live.length; i++) {
      if (live[i] === 1 && (changedAt[i] as number) > sequence) rows.push(chunk * chunkRows + i);
    }
    return rows;
  }
}

function tooOld(detail: string): TrunklineError {
  return new TrunklineError(
    'position-gone',
    `resume_from is too old: ${detail}. Watch again without it for a fresh snapshot.`,
  );
}

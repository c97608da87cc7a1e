/** The last five minutes of message rates, a sample a second; null where there was no answer. */

export interface RateHistory {
  /** Seconds since the epoch. */
  readonly times: readonly number[];
  readonly received: readonly (number | null)[];
  readonly delivered: readonly (number | null)[];
}

export const historySeconds = 300;

export const emptyHistory: RateHistory = { times: [], received: [], delivered: [] };

export function withSample(
  history: RateHistory,
  sample: { atMs: number; received: number | null; delivered: number | null },
): RateHistory {
  const time = sample.atMs / 1000;
  const from = history.times.findIndex((earlier) => earlier >= time - historySeconds);
  const first = from < 0 ? history.times.length : from;
  return {
    times: [...history.times.slice(first), time],
    received: [...history.received.slice(first), sample.received],
    delivered: [...history.delivered.slice(first), sample.delivered],
  };
}

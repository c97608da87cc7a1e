/**
 * Connections that were cut off, a few in each turn of the event loop: where a network goes, thousands
 * end at once, and those that stay must not wait until the last of them is dealt with.
 */

/** A fraction of a millisecond each. */
const perTurn = 4;

const waiting: (() => void)[] = [];
let next = 0;
let endedCount = 0;
let isScheduled = false;

export function endInTurn(end: () => void): void {
  schedule();
  if (endedCount < perTurn && next === waiting.length) {
    endedCount++;
    end();
  } else waiting.push(end);
}

function schedule(): void {
  if (isScheduled) return;
  isScheduled = true;
  setImmediate(() => {
    isScheduled = false;
    endedCount = 0;
    endSome();
  });
}

function endSome(): void {
  if (next === waiting.length) return;
  schedule();
  const until = Math.min(next + perTurn, waiting.length);
  while (next < until) {
    endedCount++;
    waiting[next++]?.();
  }
  if (next < waiting.length) return;
  waiting.length = 0;
  next = 0;
}

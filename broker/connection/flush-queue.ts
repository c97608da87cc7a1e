/**
 * Who has something to write at the end of a turn of the event loop. Clients that were silent come
 * first, and after a while the rest waits for the next turn, so that one publication to a thousand
 * subscribers does not hold up a thousand others.
 */

export interface Flushable {
  /** The turn in which it was last written; the queue's to set. */
  flushedIn: number;
  flushTurn(): void;
}

/** Milliseconds of writing after which the sockets are looked at again. */
const sliceMs = 1;

/** The clock is read every so many writes. */
const strideOfClock = 16;

let turn = 0;
let silent: Flushable[] = [];
let busy: Flushable[] = [];
/** How many at the head of `busy` are done. */
let head = 0;
let isScheduled = false;

/** Once until its `flushTurn` is called. */
export function flushLater(one: Flushable): void {
  (turn - one.flushedIn > 1 ? silent : busy).push(one);
  if (isScheduled) return;
  isScheduled = true;
  setImmediate(flushAll);
}

function flushAll(): void {
  turn++;
  isScheduled = false;
  const first = silent;
  silent = [];
  for (const one of first) flush(one);
  const end = performance.now() + sliceMs;
  while (head < busy.length) {
    flush(busy[head++] as Flushable);
    if (head % strideOfClock === 0 && performance.now() > end) break;
  }
  // Under load there is always somebody left: what is done must go all the same.
  busy = busy.slice(head);
  head = 0;
  if (isScheduled || busy.length === 0) return;
  isScheduled = true;
  setImmediate(flushAll);
}

function flush(one: Flushable): void {
  one.flushedIn = turn;
  one.flushTurn();
}

/**
 * CONNECTs in the order in which they came, one in each turn of the event loop: a fleet that comes
 * all at once has its turns like one client that floods, and does not hold up those that are there.
 * One takes longer than the share of a turn that a flood gets; new sockets come one a turn, too.
 */

interface Comer {
  readonly connection: { readonly destroyed: boolean };
  readonly letIn: () => void;
}

const waiting: Comer[] = [];
let isScheduled = false;

export function connectInTurn(connection: Comer['connection'], letIn: () => void): void {
  waiting.push({ connection, letIn });
  schedule();
}

function schedule(): void {
  if (isScheduled || waiting.length === 0) return;
  isScheduled = true;
  setImmediate(letOneIn);
}

function letOneIn(): void {
  isScheduled = false;
  let next = waiting.shift();
  while (next?.connection.destroyed === true) next = waiting.shift();
  schedule();
  next?.letIn();
}

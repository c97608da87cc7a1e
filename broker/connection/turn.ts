/**
 * Fair turns: what one client sends is dealt with in slices, so that one that floods does not hold
 * up the others. A turn is one round of the event loop.
 */

/** About 200 small messages: a fraction of a millisecond. */
const shareBytes = 16 * 1024;

/** What a control packet counts beside its bytes: a PINGREQ has two of them, and takes as long as
 * half a kilobyte of small messages. */
const controlBytes = 512;

let turn = 0;
let isCounting = false;

function presentTurn(): number {
  if (!isCounting) {
    isCounting = true;
    setImmediate(() => {
      isCounting = false;
      turn++;
    });
  }
  return turn;
}

export class Turn {
  #turn = -1;
  #bytes = 0;
  #isWaiting = false;

  /** Counts what was dealt with. */
  spend(bytes: number): void {
    const present = presentTurn();
    if (this.#turn !== present) {
      this.#turn = present;
      this.#bytes = 0;
    }
    this.#bytes += bytes;
  }

  spendOnControl(): void {
    this.spend(controlBytes);
  }

  /** Whether the share of this turn is used up; then the owner is called in the next. */
  isOver(owner: { goOn(): void }): boolean {
    if (this.#bytes < shareBytes || this.#turn !== presentTurn()) return false;
    if (!this.#isWaiting) {
      this.#isWaiting = true;
      setImmediate(() => {
        this.#isWaiting = false;
        owner.goOn();
      });
    }
    return true;
  }
}

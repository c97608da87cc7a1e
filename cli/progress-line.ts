/**
 * One line that tells how far a command is. On a terminal it rewrites itself; elsewhere, as in a
 * log, a new line comes every two seconds, or as rarely as its owner wants.
 */
import type { Clock } from '../base/clock.ts';

const terminalMs = 200;
const usualLineMs = 2_000;

/** Back to the first column, and clear to the end of the line. */
const eraseLine = '\r\u001b[K';

export class ProgressLine {
  readonly #clock: Clock;
  readonly #stream: NodeJS.WritableStream;
  readonly #isTerminal: boolean;
  readonly #lineMs: number;
  #cancel: (() => void) | null = null;

  constructor(clock: Clock, stream: NodeJS.WritableStream, options: { lineMs?: number } = {}) {
    this.#clock = clock;
    this.#stream = stream;
    this.#lineMs = options.lineMs ?? usualLineMs;
    this.#isTerminal = 'isTTY' in stream && stream.isTTY === true;
  }

  /** Replaces what was shown before. */
  start(text: () => string): void {
    this.close();
    const show = () => {
      this.#stream.write(this.#isTerminal ? `${eraseLine}${text()}` : `${text()}\n`);
    };
    this.#cancel = this.#clock.every(this.#isTerminal ? terminalMs : this.#lineMs, show);
  }

  close(): void {
    if (this.#cancel === null) return;
    this.#cancel();
    this.#cancel = null;
    if (this.#isTerminal) this.#stream.write(eraseLine);
  }
}

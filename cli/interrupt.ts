/**
 * Ctrl-C for commands that run until they are told to stop. The first one asks for an orderly end,
 * a later one ends the process at once.
 */

/** One Ctrl-C reaches a program under `npm run` twice: from the terminal and from npm. */
const sameSignalMs = 1_000;

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** What a shell shows for a process that Ctrl-C ended. */
const interruptedCode = 130;

export class Interrupt {
  readonly #controller = new AbortController();
  readonly #onSignal = () => this.#signalled();
  #firstAt: number | null = null;

  constructor() {
    for (const signal of signals) process.on(signal, this.#onSignal);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  close(): void {
    for (const signal of signals) process.off(signal, this.#onSignal);
  }

  #signalled(): void {
    const now = performance.now();
    if (this.#firstAt === null) {
      this.#firstAt = now;
      this.#controller.abort();
    } else if (now - this.#firstAt > sameSignalMs) {
      process.exit(interruptedCode);
    }
  }
}

/** Resolves after `ms`, or at once when the signal is or gets aborted. */
export function waitUnlessAborted(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
      return;
    }
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
  });
}

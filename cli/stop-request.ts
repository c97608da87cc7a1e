/**
 * When a process must stop: SIGTERM, SIGINT, the end of its terminal, the word of the supervisor that
 * started it, or that supervisor's end. Without a terminal SIGHUP means to look at the certificates. A second signal, or a drain that takes too long, ends the process at once
 * with a log line.
 */
import type { Logger } from '../base/log.ts';

/** Service managers and `trunkline up` wait five seconds before they use force. */
const drainMsMax = 4_500;

/** One Ctrl-C reaches a program under `npm start` twice: from the terminal and from npm. */
const sameSignalMs = 1_000;

/** What a supervisor sends over IPC. A signal would not do: a service manager that signals the
 * whole group sends one of its own, and the second one would be taken for impatience. */
export const stopWord = 'stop';

const signals = ['SIGTERM', 'SIGINT'] as const;

export class StopRequest {
  /** Resolves once, with the reason. */
  readonly requested: Promise<string>;
  readonly #log: Logger;
  readonly #drainMsMax: number;
  readonly #onSignal = (signal: NodeJS.Signals) => this.#signalled(signal);
  readonly #onDisconnect = () => this.#request('supervisor-gone');
  readonly #onMessage = (message: unknown) => {
    if (message === stopWord) this.#request('supervisor');
  };
  #resolve: (reason: string) => void = () => {};
  #requestedAt: number | null = null;

  /** `drainMs`: what the orderly end may take beside the usual. */
  constructor(log: Logger, drainMs = 0) {
    this.#log = log;
    this.#drainMsMax = drainMsMax + drainMs;
    this.requested = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    for (const signal of signals) process.on(signal, this.#onSignal);
    process.on('SIGHUP', (signal) => {
      if (process.stdin.isTTY) this.#signalled(signal);
      else log.info('certificates are looked at');
    });
    if (process.channel === undefined) return;
    process.once('disconnect', this.#onDisconnect);
    process.on('message', this.#onMessage);
  }

  /** The work is done. The guard stays: it must end a process that something still holds up. */
  close(): void {
    process.off('disconnect', this.#onDisconnect);
    process.off('message', this.#onMessage);
  }

  #signalled(signal: NodeJS.Signals): void {
    const isSecond =
      this.#requestedAt !== null && performance.now() - this.#requestedAt > sameSignalMs;
    if (isSecond) this.#force('second-signal');
    else this.#request(signal);
  }

  #request(reason: string): void {
    if (this.#requestedAt !== null) return;
    this.#requestedAt = performance.now();
    setTimeout(() => this.#force('drain-timeout'), this.#drainMsMax).unref();
    this.#resolve(reason);
  }

  #force(reason: string): void {
    this.#log.error({ reason }, 'stop forced');
    process.exit(1);
  }
}

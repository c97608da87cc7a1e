/**
 * Commands to one attached edge, over its control stream: each has a number, and the promise of
 * `send` settles with the result of that number, at the deadline, or when the edge goes.
 */
import type { Clock } from '../../base/clock.ts';
import { TrunklineError } from '../../base/errors.ts';
import { commandMs, commandsMax } from '../../base/limits.ts';
import type { Command, CommandResult } from '../../proto/gen/trunkline/v1/trunk.ts';

export type EdgeCommand = NonNullable<Command['command']>;

export interface EdgeCommandsOptions {
  readonly edgeId: string;
  /** What the edge named at hello; a command of another kind is not sent to it. */
  readonly capabilities: readonly string[];
  readonly write: (command: Command) => void;
}

interface Waiting {
  readonly resolve: (result: CommandResult) => void;
  readonly reject: (error: TrunklineError) => void;
  readonly cancel: () => void;
}

export class EdgeCommands {
  readonly edgeId: string;
  readonly #clock: Clock;
  readonly #options: EdgeCommandsOptions;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;
  #isClosed = false;

  constructor(clock: Clock, options: EdgeCommandsOptions) {
    this.edgeId = options.edgeId;
    this.#clock = clock;
    this.#options = options;
  }

  takes(kind: EdgeCommand['$case']): boolean {
    return this.#options.capabilities.includes(kind);
  }

  /**
   * Resolves with the result of a command that was done. Throws `unsupported` for an edge that does
   * not know the command, `command-refused` with the edge's own words, `unreachable` when it does
   * not answer in time or goes, `overloaded` when too many wait.
   */
  send(command: EdgeCommand, deadlineMs = commandMs): Promise<CommandResult> {
    const fault = this.#faultOf(command);
    if (fault !== null) return Promise.reject(fault);
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      const cancel = this.#clock.after(deadlineMs, () => {
        this.#waiting.delete(id);
        reject(
          this.#unreachable(`did not answer the command "${command.$case}" in ${deadlineMs} ms`),
        );
      });
      this.#waiting.set(id, { resolve, reject, cancel });
      this.#options.write({ id, command });
    });
  }

  /** A result that nobody waits for any more is passed over. */
  settle(result: CommandResult): void {
    const waiting = this.#waiting.get(result.id);
    if (waiting === undefined) return;
    this.#waiting.delete(result.id);
    waiting.cancel();
    if (result.error === '') waiting.resolve(result);
    else {
      const text = `Edge "${this.edgeId}" refused: ${result.error}`;
      waiting.reject(new TrunklineError('command-refused', text));
    }
  }

  /** Idempotent. */
  close(): void {
    this.#isClosed = true;
    for (const { cancel, reject } of this.#waiting.values()) {
      cancel();
      reject(this.#unreachable('went before it answered'));
    }
    this.#waiting.clear();
  }

  #faultOf({ $case: kind }: EdgeCommand): TrunklineError | null {
    if (this.#isClosed) return this.#unreachable('is not attached any more');
    if (!this.takes(kind)) {
      return new TrunklineError(
        'unsupported',
        `Edge "${this.edgeId}" does not know the command "${kind}": update its software.`,
      );
    }
    if (this.#waiting.size < commandsMax) return null;
    return new TrunklineError(
      'overloaded',
      `${commandsMax} commands to edge "${this.edgeId}" wait for an answer; try again later.`,
    );
  }

  #unreachable(what: string): TrunklineError {
    return new TrunklineError('unreachable', `Edge "${this.edgeId}" ${what}.`);
  }
}

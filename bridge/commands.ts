/**
 * Commands of the core, at the edge: each goes to the handler of its kind and is answered with what
 * came of it. The kinds that have a handler are capabilities that the edge names at hello.
 */
import { messageOf } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import type { Command, CommandResult, Located } from '../proto/gen/trunkline/v1/trunk.ts';

type AnyCommand = NonNullable<Command['command']>;
export type CommandKind = AnyCommand['$case'];
type CommandOf<K extends CommandKind> = Extract<AnyCommand, { readonly $case: K }>['value'];

/** What it throws is told to the core as the reason why it was not done. */
export type CommandHandler<K extends CommandKind> = (
  command: CommandOf<K>,
) => K extends 'locate' ? Located | Promise<Located> : void | Promise<void>;

export class Commands {
  readonly #log: Logger;
  readonly #handlers = new Map<CommandKind, (command: unknown) => unknown>();

  constructor(log: Logger) {
    this.#log = log;
  }

  /** Before the first link: a kind that comes later is not named at hello. */
  handle<K extends CommandKind>(kind: K, handler: CommandHandler<K>): void {
    this.#handlers.set(kind, handler as (command: unknown) => unknown);
  }

  /** In the order of registration. */
  get capabilities(): string[] {
    return [...this.#handlers.keys()];
  }

  /** Never throws; `answer` is called once, when the handler is done. */
  take({ id, command }: Command, answer: (result: CommandResult) => void): void {
    this.#run(command).then(
      (located) => answer({ id, error: '', located }),
      (error: unknown) => {
        const reason = messageOf(error);
        this.#log.warn({ command: command?.$case, reason }, 'command of the core refused');
        answer({ id, error: reason, located: undefined });
      },
    );
  }

  async #run(command: Command['command']): Promise<Located | undefined> {
    const handler = command === undefined ? undefined : this.#handlers.get(command.$case);
    if (command === undefined || handler === undefined) {
      throw new Error(`this edge does not know the command "${command?.$case ?? 'none'}"`);
    }
    const answer = await handler(command.value);
    return command.$case === 'locate' ? (answer as Located) : undefined;
  }
}

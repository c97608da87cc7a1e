/** What every command is: arguments and streams in, exit code out. */

export interface CommandIo {
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Throws `TrunklineError` for what one sentence can say; `main` prints it and exits with 1. */
export type CommandRun = (args: string[], io: CommandIo) => Promise<number>;

/** A command's code is loaded when it is called. */
export interface Command {
  readonly name: string;
  readonly summary: string;
  readonly load: () => Promise<CommandRun>;
}

/** What the actions of `trunkline sessions` have in common when they print. */
import type { CommandIo } from './command.ts';
import { SessionsText } from './sessions-text.ts';

export function jsonLine(content: unknown): string {
  return `${JSON.stringify(content)}\n`;
}

export function showHelp(io: CommandIo, text: string): number {
  io.stdout.write(text);
  return 0;
}

export function textFor(io: CommandIo): SessionsText {
  const isTerminal = 'isTTY' in io.stdout && io.stdout.isTTY === true;
  return new SessionsText({ isColoured: isTerminal && !io.env['NO_COLOR'] });
}

/** What is shown must not be taken for the whole truth. */
export function writeSilent(
  io: CommandIo,
  page: { readonly complete: boolean; readonly silent_edges: readonly string[] },
): void {
  if (page.complete) return;
  const names = page.silent_edges.join(', ');
  io.stderr.write(`Not reporting now, shown as last heard: ${names}.\n`);
}

/**
 * `trunkline completion`: a script that completes command lines. Commands, actions and flags are
 * read from the commands' own help, so that none is forgotten.
 */
import { PassThrough } from 'node:stream';
import { TrunklineError } from '../base/errors.ts';
import { eventCatalog } from '../core/history/event-fields.ts';
import { sessionCatalog } from '../core/sessions/session-fields.ts';
import type { Command, CommandIo, CommandRun } from './command.ts';
import { defineOptions, helpText, parseOptions } from './options.ts';

const spec = defineOptions({
  usage: 'trunkline completion <shell> [options]',
  summary: 'Print a script that completes command lines in bash or zsh.',
  positionals: { names: ['shell'] },
  options: {},
  notes: [
    'bash: source <(trunkline completion bash)',
    'zsh:  source <(trunkline completion zsh)',
    'A line as this in .bashrc or .zshrc makes it last.',
  ],
});

/** Without settings these do what they do at once. */
const withoutHelp = new Set(['version']);

/** What completes after one of the words of a line: a command, or a command and its action. */
interface Known {
  readonly actions: readonly string[];
  /** By action; under '' those of the command itself. */
  readonly flags: ReadonlyMap<string, readonly string[]>;
}

export function completionCommand(commands: readonly Command[]): CommandRun {
  return async (args: string[], io: CommandIo) => {
    const { help, positionals } = parseOptions(spec, args);
    if (help) {
      io.stdout.write(helpText(spec));
      return 0;
    }
    const shell = positionals[0] ?? '';
    if (shell !== 'bash' && shell !== 'zsh') {
      const given = JSON.stringify(shell);
      throw new TrunklineError('config-invalid', `The shell is ${given}; give bash or zsh.`);
    }
    const known = new Map<string, Known>();
    for (const { name, load } of commands) {
      if (name === 'completion' || withoutHelp.has(name)) known.set(name, knownOf(name, ''));
      else known.set(name, knownOf(name, await helpOf(await load(), io)));
    }
    io.stdout.write(scriptFor(shell, known));
    return 0;
  };
}

async function helpOf(run: CommandRun, io: CommandIo): Promise<string> {
  const stdout = new PassThrough();
  await run(['--help'], { ...io, stdout });
  stdout.end();
  const parts: Buffer[] = [];
  for await (const part of stdout) parts.push(part as Buffer);
  return Buffer.concat(parts).toString();
}

/** From "Usage: trunkline sessions list [options]" and the flags below it. */
export function knownOf(name: string, help: string): Known {
  const flags = new Map<string, string[]>();
  let action = '';
  for (const line of help.split('\n')) {
    const usage = new RegExp(`^Usage: trunkline ${name}(?: ([a-z]+|\\[[a-z]+\\]))?(?: |$)`).exec(
      line,
    );
    if (usage !== null) {
      const word = usage[1] ?? '';
      action = /^[a-z]+$/.test(word) ? word : '';
      flags.set(action, flags.get(action) ?? []);
    }
    const flag = /^ {2,6}(?:-\w, )?(--[a-z][\w-]*)/.exec(line)?.[1];
    if (flag !== undefined) flags.get(action)?.push(flag);
  }
  return { actions: [...flags.keys()].filter((one) => one !== ''), flags };
}

function scriptFor(shell: 'bash' | 'zsh', known: ReadonlyMap<string, Known>): string {
  const cases = [...known].flatMap(([name, { actions, flags }]) => {
    const own = [...actions, ...(flags.get('') ?? [])];
    const deeper = actions.map((action) => choice(`${name} ${action}`, flags.get(action) ?? []));
    return [...deeper, choice(name, own)];
  });
  const head = shell === 'zsh' ? 'autoload -U +X bashcompinit && bashcompinit\n' : '';
  return `# Completes command lines of trunkline.
${head}_trunkline() {
  local cur=\${COMP_WORDS[COMP_CWORD]} words=
  local line="\${COMP_WORDS[*]:1:COMP_CWORD-1}"
  case "$line" in
${fieldCases().join('\n')}
  esac
  if [ -n "$words" ]; then
    local before=\${cur%"\${cur##*,}"}
    COMPREPLY=($(compgen -P "$before" -W "$words" -- "\${cur##*,}"))
    return
  fi
  case "$line " in
${cases.join('\n')}
    *) words='${[...known.keys(), 'help'].join(' ')}' ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -o default -F _trunkline trunkline
`;
}

function choice(line: string, words: readonly string[]): string {
  return `    '${line} '*) words='${words.join(' ')}' ;;`;
}

/** After a flag that wants fields. */
function fieldCases(): string[] {
  const sessions = sessionCatalog.fields.map(({ name }) => name).join(' ');
  const events = eventCatalog.fields.map(({ name }) => name).join(' ');
  const flags = ['--order', '-o', '--group', '-g', '--fields', '--filter', '-f'];
  const after = (line: string) => flags.map((flag) => `'${line}'*' ${flag}'`).join('|');
  return [
    `    ${after('sessions history')}) words='${events}' ;;`,
    `    ${after('sessions')}) words='${sessions}' ;;`,
  ];
}

/**
 * The table of commands. A command's code is loaded when it is called, so that help is quick.
 * What goes wrong in a way the user can mend is one sentence on standard error and exit code 1.
 */
import { messageOf, TrunklineError } from '../base/errors.ts';
import type { Command, CommandIo } from './command.ts';
import { nearest } from './nearest.ts';

const commands: readonly Command[] = [
  {
    name: 'up',
    summary: 'Run one edge and one core on this machine.',
    load: async () => (await import('./up.ts')).upCommand,
  },
  {
    name: 'init',
    summary: 'Make a secure configuration: authority, certificates, tokens, a first device.',
    load: async () => (await import('./init/init.ts')).initCommand,
  },
  {
    name: 'edge',
    summary: 'Run an edge: the broker that devices connect to.',
    load: async () => (await import('./edge.ts')).edgeCommand,
  },
  {
    name: 'core',
    summary: 'Run a core: routing, log, gateways, operators.',
    load: async () => (await import('./core.ts')).coreCommand,
  },
  {
    name: 'demo',
    summary: 'Run a core and two edges with a simulated fleet, to look at.',
    load: async () => (await import('./demo.ts')).demoCommand,
  },
  {
    name: 'sessions',
    summary: 'List, show and watch the device sessions of the whole fleet.',
    load: async () => (await import('./sessions.ts')).sessionsCommand,
  },
  {
    name: 'rules',
    summary: 'Show and change what crosses the trunk: get, set, history, rollback.',
    load: async () => (await import('./rules.ts')).rulesCommand,
  },
  {
    name: 'trunk',
    summary: 'Show how the link of each edge does: trunk status.',
    load: async () => (await import('./trunk.ts')).trunkCommand,
  },
  {
    name: 'where',
    summary: 'Tell how far a message has come.',
    load: async () => (await import('./where.ts')).whereCommand,
  },
  {
    name: 'explain',
    summary: 'Tell whether a device may publish or subscribe, and which rule says so.',
    load: async () => (await import('./explain.ts')).explainCommand,
  },
  {
    name: 'drain',
    summary: 'Send the edges of a core to another one.',
    load: async () => (await import('./drain.ts')).drainCommand,
  },
  {
    name: 'registry',
    summary: 'Make, show and change the devices that may connect.',
    load: async () => (await import('./registry.ts')).registryCommand,
  },
  {
    name: 'devices',
    summary: 'Simulate a fleet of devices.',
    load: async () => (await import('./devices.ts')).devicesCommand,
  },
  {
    name: 'pub',
    summary: 'Publish a message.',
    load: async () => (await import('./pub.ts')).pubCommand,
  },
  {
    name: 'sub',
    summary: 'Print messages as they come.',
    load: async () => (await import('./sub.ts')).subCommand,
  },
  {
    name: 'config',
    summary: 'Print the effective configuration, or check it: config check.',
    load: async () => (await import('./config-command.ts')).configCommand,
  },
  {
    name: 'scram',
    summary: 'Make of a password what the server keeps of it for SCRAM-SHA-256.',
    load: async () => (await import('./scram.ts')).scramCommand,
  },
  {
    name: 'completion',
    summary: 'Print a script that completes command lines in bash or zsh.',
    load: async () => (await import('./completion.ts')).completionCommand(commands),
  },
  {
    name: 'version',
    summary: 'Print the version.',
    load: async () => (await import('./version.ts')).versionCommand,
  },
];

export async function main(args: string[], io: CommandIo): Promise<number> {
  try {
    return await dispatch(args, io);
  } catch (error) {
    io.stderr.write(`${faultText(error)}\n`);
    return 1;
  }
}

async function dispatch(args: string[], io: CommandIo): Promise<number> {
  const [name = 'help', ...rest] = args;
  if (name === 'help' || name === '--help' || name === '-h') {
    const about = rest[0];
    if (name === 'help' && about !== undefined) return dispatch([about, '--help'], io);
    io.stdout.write(helpText());
    return 0;
  }
  const wanted = name === '--version' || name === '-v' ? 'version' : name;
  const command = commands.find((candidate) => candidate.name === wanted);
  if (command === undefined) throw unknownCommand(name);
  const run = await command.load();
  return run(rest, io);
}

function faultText(error: unknown): string {
  if (error instanceof TrunklineError) {
    // The lines of a query, with a caret under the character that is meant, stay as they are.
    if (error.code === 'query-invalid') return `trunkline: ${error.message}`;
    return `trunkline: ${error.message.replaceAll(/\s*\n\s*/g, ' ')}`;
  }
  const stack = error instanceof Error ? error.stack : undefined;
  return `trunkline: unexpected error: ${stack ?? messageOf(error)}`;
}

function unknownCommand(name: string): TrunklineError {
  const near = nearest(
    name,
    commands.map((command) => command.name),
  );
  const hint =
    near === undefined ? '`trunkline help` lists all commands.' : `did you mean \`${near}\`?`;
  return new TrunklineError('not-found', `There is no command ${JSON.stringify(name)}; ${hint}`);
}

function helpText(): string {
  const rows = [...commands.map(({ name, summary }) => [name, summary] as const)];
  rows.push(['help', 'Show this text; `trunkline COMMAND --help` tells about one command.']);
  const width = Math.max(...rows.map(([name]) => name.length));
  return [
    'Trunkline: MQTT for fleets that outgrow one broker.',
    '',
    'Usage: trunkline COMMAND [flags]',
    '',
    'Commands',
    ...rows.map(([name, summary]) => `  ${name.padEnd(width)}  ${summary}`),
    '',
    'Settings come from defaults, a TOML file (--config FILE or TRUNKLINE_CONFIG), TRUNKLINE_…',
    'variables and flags; the later wins. docs/configuration.md lists them all.',
    '',
  ].join('\n');
}

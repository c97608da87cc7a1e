/** `trunkline registry`: the devices that may connect, made, shown and changed at a core. */
import { readFile } from 'node:fs/promises';
import { messageOf, TrunklineError } from '../base/errors.ts';
import type { CreateDeviceResponse, Device } from '../proto/gen/trunkline/v1/registry.ts';
import type { CommandIo } from './command.ts';
import { nearest } from './nearest.ts';
import { defineOptions, helpText, parseOptions } from './options.ts';
import { RegistryClient } from './registry-client.ts';
import { devicesOf, deviceText, exportText, issuedText } from './registry-text.ts';

const common = {
  core: {
    kind: 'text',
    placeholder: 'HOST:PORT',
    default: '127.0.0.1:7500',
    about: "The core's front door (gateway.port); with https:// in front where it has TLS.",
  },
  token: { kind: 'text', default: '', about: 'Bearer token of operators (http.token).' },
} as const;

const facts = {
  role: { kind: 'text', placeholder: 'A,B', about: 'Its roles.' },
  label: { kind: 'text', placeholder: 'A=1,B=2', about: 'Its labels.' },
} as const;

const format = {
  format: { kind: 'text', choices: ['ndjson', 'csv'], default: 'ndjson', about: 'Of the file.' },
} as const;

const createSpec = defineOptions({
  usage: 'trunkline registry create <name> [options]',
  summary: 'Make a device, and print its secret, which nobody can read again.',
  positionals: { names: ['name'] },
  options: { ...facts, ...common },
});
const getSpec = defineOptions({
  usage: 'trunkline registry get <name> [options]',
  summary: 'Show a device.',
  positionals: { names: ['name'] },
  options: common,
});
const listSpec = defineOptions({
  usage: 'trunkline registry list [options]',
  summary: 'Print all devices, in the form that import reads.',
  options: { ...format, ...common },
});
const updateSpec = defineOptions({
  usage: 'trunkline registry update <name> [options]',
  summary: 'Change what is given of a device, and leave the rest.',
  positionals: { names: ['name'] },
  options: {
    ...facts,
    disabled: { kind: 'text', choices: ['true', 'false'], about: 'It is not let in.' },
    ...common,
  },
});
const deleteSpec = defineOptions({
  usage: 'trunkline registry delete <name> [options]',
  summary: 'Delete a device: its connection and its session end.',
  positionals: { names: ['name'] },
  options: common,
});
const rotateSpec = defineOptions({
  usage: 'trunkline registry rotate <name> [options]',
  summary: 'Give a device another secret, and print it: its connection ends.',
  positionals: { names: ['name'] },
  options: common,
});
const importSpec = defineOptions({
  usage: 'trunkline registry import <file> [options]',
  summary: 'Make the devices of a file, and print them with their secrets, in the same form.',
  positionals: { names: ['file'] },
  options: { ...format, ...common },
  notes: [
    'NDJSON: {"name":"m-1","roles":["meters"],"labels":{"site":"north"}} a line.',
    'CSV: the columns name, roles, labels, disabled; "a b" and "site=north zone=2" inside.',
    'A thousand devices are made at once, all or none of them.',
  ],
});

const specs = [createSpec, getSpec, listSpec, updateSpec, deleteSpec, rotateSpec, importSpec];

const actions = new Map([
  ['create', create],
  ['get', get],
  ['list', list],
  ['update', update],
  ['delete', remove],
  ['rotate', rotate],
  ['import', importAll],
]);

const importMax = 1_000;

/** Throws `TrunklineError`, as every command does. */
export async function registryCommand(args: string[], io: CommandIo): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined || name === '--help' || name === '-h') {
    const text = specs.map((spec) => helpText(spec as typeof getSpec)).join('\n');
    (name === undefined ? io.stderr : io.stdout).write(text);
    return name === undefined ? 1 : 0;
  }
  const action = actions.get(name);
  if (action !== undefined) return action(rest, io);
  const near = nearest(name, actions.keys());
  const hint =
    near === undefined ? `There are ${[...actions.keys()].join(', ')}.` : `Did you mean ${near}?`;
  const text = `\`trunkline registry\` has no ${JSON.stringify(name)}. ${hint}`;
  throw new TrunklineError('config-invalid', text);
}

async function create(args: string[], io: CommandIo): Promise<number> {
  const { help, values, positionals } = parseOptions(createSpec, args);
  if (help) return shown(io, helpText(createSpec));
  const device = { ...nameless, ...factsOf(values), name: positionals[0] ?? '' };
  return withClient(values, io, async (client) => issuedText([await client.create(device)]));
}

async function get(args: string[], io: CommandIo): Promise<number> {
  const { help, values, positionals } = parseOptions(getSpec, args);
  if (help) return shown(io, helpText(getSpec));
  return withClient(values, io, async (client) =>
    deviceText(await client.get(positionals[0] ?? '')),
  );
}

async function list(args: string[], io: CommandIo): Promise<number> {
  const { help, values } = parseOptions(listSpec, args);
  if (help) return shown(io, helpText(listSpec));
  return withClient(values, io, async (client) => exportText(await client.all(), values.format));
}

async function update(args: string[], io: CommandIo): Promise<number> {
  const { help, values, positionals } = parseOptions(updateSpec, args);
  if (help) return shown(io, helpText(updateSpec));
  return withClient(values, io, async (client) => {
    const present = await client.get(positionals[0] ?? '');
    const disabled = values.disabled === undefined ? present.disabled : values.disabled === 'true';
    return deviceText(await client.update({ ...present, ...factsOf(values), disabled }));
  });
}

async function remove(args: string[], io: CommandIo): Promise<number> {
  const { help, values, positionals } = parseOptions(deleteSpec, args);
  if (help) return shown(io, helpText(deleteSpec));
  return withClient(values, io, async (client) => {
    await client.remove(positionals[0] ?? '');
    return `${positionals[0]} is deleted\n`;
  });
}

async function rotate(args: string[], io: CommandIo): Promise<number> {
  const { help, values, positionals } = parseOptions(rotateSpec, args);
  if (help) return shown(io, helpText(rotateSpec));
  return withClient(values, io, async (client) =>
    issuedText([await client.rotate(positionals[0] ?? '')]),
  );
}

async function importAll(args: string[], io: CommandIo): Promise<number> {
  const { help, values, positionals } = parseOptions(importSpec, args);
  if (help) return shown(io, helpText(importSpec));
  const devices = devicesOf(await contentOf(positionals[0] ?? ''), values.format);
  return withClient(values, io, async (client) => {
    const issued: CreateDeviceResponse[] = [];
    for (let at = 0; at < devices.length; at += importMax) {
      const part = await client.import(devices.slice(at, at + importMax));
      // At once: what is made is made, and its secrets are known here alone.
      io.stdout.write(issuedText(part, values.format, at === 0));
      issued.push(...part);
    }
    return '';
  });
}

const nameless: Device = {
  ...{ name: '', roles: [], labels: [], disabled: false },
  ...{ createdAtMs: 0, updatedAtMs: 0, credentialVersion: 0 },
};

function factsOf(values: { role: string | undefined; label: string | undefined }): Partial<Device> {
  const { role, label } = values;
  return {
    ...(role === undefined ? {} : { roles: partsOf(role) }),
    ...(label === undefined ? {} : { labels: partsOf(label).map(labelOf) }),
  };
}

function partsOf(text: string): string[] {
  return text.split(',').filter((part) => part !== '');
}

function labelOf(text: string): { name: string; value: string } {
  const at = text.indexOf('=');
  if (at > 0) return { name: text.slice(0, at), value: text.slice(at + 1) };
  throw new TrunklineError(
    'config-invalid',
    `The label is ${JSON.stringify(text)}; give NAME=VALUE.`,
  );
}

async function withClient(
  values: { readonly core: string; readonly token: string },
  io: CommandIo,
  work: (client: RegistryClient) => Promise<string>,
): Promise<number> {
  const client = new RegistryClient(values);
  try {
    io.stdout.write(await work(client));
    return 0;
  } finally {
    client.close();
  }
}

async function contentOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    const words = `The file ${file} cannot be read: ${messageOf(error)}.`;
    throw new TrunklineError('config-invalid', words, { cause: error });
  }
}

function shown(io: CommandIo, text: string): number {
  io.stdout.write(text);
  return 0;
}

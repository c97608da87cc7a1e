/** `trunkline sub`: prints what is published on topics, one line a message. */
import { TrunklineError } from '../base/errors.ts';
import { topicFilterFault } from '../base/topic.ts';
import {
  closeMqttClient,
  type MqttClient,
  openMqttClient,
  subscribeMqtt,
} from '../devices/mqtt-client.ts';
import { brokerAddress, brokerOptions, qosOf, runName } from './broker-options.ts';
import type { CommandIo } from './command.ts';
import { Interrupt } from './interrupt.ts';
import { defineOptions, helpText, parseOptions } from './options.ts';

const spec = defineOptions({
  usage: 'trunkline sub <filter...> [options]',
  summary: 'Print messages as they come, one line each: topic, space, payload.',
  positionals: { names: ['filter'], rest: true },
  options: {
    qos: {
      kind: 'text',
      short: 'q',
      placeholder: 'QOS',
      choices: ['0', '1', '2'],
      default: '1',
      about: 'Highest quality of service to be sent with.',
    },
    count: { kind: 'number', short: 'c', min: 1, about: 'Stop after this many messages.' },
    json: { kind: 'flag', about: 'Print a JSON object a line, with QoS and retain.' },
    ...brokerOptions,
  },
  notes: [
    'A payload that is not UTF-8 is printed as hex: followed by its bytes in hexadecimal.',
    'Control characters in a payload are printed as \\xNN; with --json payloads are exact.',
  ],
});

export async function subCommand(args: string[], io: CommandIo): Promise<number> {
  const { help, values, positionals } = parseOptions(spec, args);
  if (help) {
    io.stdout.write(helpText(spec));
    return 0;
  }
  for (const filter of positionals) checkFilter(filter);
  const client = await openMqttClient(brokerAddress(values), {
    clientId: `sub-${runName()}`,
    clean: true,
  });
  const interrupt = new Interrupt();
  client.on('close', () => {
    if (!client.disconnecting) io.stderr.write('Connection lost; connecting again.\n');
  });
  try {
    const enough = printMessages(client, io, { countMax: values.count, json: values.json });
    for (const filter of positionals) {
      await subscribeMqtt(client, filter, qosOf(values.qos));
    }
    await Promise.race([enough, aborted(interrupt.signal)]);
  } finally {
    interrupt.close();
    await closeMqttClient(client);
  }
  return 0;
}

function checkFilter(filter: string): void {
  const fault = topicFilterFault(filter);
  if (fault === null) return;
  throw new TrunklineError(
    'filter-invalid',
    `The filter ${JSON.stringify(filter)} ${fault}. See \`trunkline sub --help\`.`,
  );
}

/** Resolves when `countMax` messages were printed. */
function printMessages(
  client: MqttClient,
  io: CommandIo,
  options: { countMax: number | undefined; json: boolean },
): Promise<void> {
  let printed = 0;
  return new Promise((resolve) => {
    client.on('message', (topic, payload, packet) => {
      if (printed === options.countMax) return;
      printed++;
      const line = options.json ? jsonLine(topic, payload, packet) : textLine(topic, payload);
      io.stdout.write(`${line}\n`);
      if (printed === options.countMax) resolve();
    });
  });
}

function jsonLine(
  topic: string,
  payload: Buffer,
  { qos, retain }: { qos: number; retain: boolean },
): string {
  const text = utf8Of(payload);
  const content = text === null ? { payload_hex: payload.toString('hex') } : { payload: text };
  return JSON.stringify({ topic, ...content, qos, retain });
}

function textLine(topic: string, payload: Buffer): string {
  const text = utf8Of(payload);
  return `${printable(topic)} ${text === null ? `hex:${payload.toString('hex')}` : printable(text)}`;
}

/** Null when the bytes are not UTF-8. */
function utf8Of(bytes: Buffer): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

/** A device must not be able to move the reader's cursor, nor to make one message look like two. */
function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\u2028\u2029]/gu, (character) => {
    if (character === '\t') return character;
    return `\\x${character.codePointAt(0)?.toString(16).padStart(2, '0')}`;
  });
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

/** `trunkline pub`: publishes one message, or each line of standard input as one. */
import { setMaxListeners } from 'node:events';
import { createInterface } from 'node:readline';
import { TrunklineError } from '../base/errors.ts';
import type { Qos } from '../base/publication.ts';
import { topicNameFault } from '../base/topic.ts';
import { closeMqttClient, type MqttClient, openMqttClient } from '../devices/mqtt-client.ts';
import { brokerAddress, brokerOptions, qosOf, runName } from './broker-options.ts';
import type { CommandIo } from './command.ts';
import { defineOptions, helpText, parseOptions } from './options.ts';

/** Lines under way at once: enough to keep a far broker busy, and little to hold in memory. */
const underWayMax = 64;

const spec = defineOptions({
  usage: 'trunkline pub <topic> <message> [options]',
  summary: 'Publish a message, and wait until the broker has it (QoS 1 and 2).',
  positionals: { names: ['topic', 'message'], optional: 1 },
  options: {
    qos: {
      kind: 'text',
      short: 'q',
      placeholder: 'QOS',
      choices: ['0', '1', '2'],
      default: '1',
      about: 'Quality of service.',
    },
    retain: { kind: 'flag', short: 'r', about: "Keep it as the topic's retained message." },
    'stdin-lines': { kind: 'flag', about: 'Publish each line of standard input; no <message>.' },
    ...brokerOptions,
  },
  notes: [
    'An empty message with --retain deletes the retained one.',
    'A message that begins with a dash stands after --: trunkline pub room/1 -- -5',
  ],
});

export async function pubCommand(args: string[], io: CommandIo): Promise<number> {
  const { help, values, positionals } = parseOptions(spec, args);
  if (help) {
    io.stdout.write(helpText(spec));
    return 0;
  }
  const [topic = '', message] = positionals;
  checkArguments(topic, message, values['stdin-lines']);
  const client = await openMqttClient(brokerAddress(values), {
    clientId: `pub-${runName()}`,
    clean: true,
  });
  const lost = connectionLost(client);
  const how = { topic, qos: qosOf(values.qos), retain: values.retain, lost: lost.signal };
  try {
    if (message === undefined) await publishLines(client, process.stdin, how);
    else await publish(client, message, how);
  } finally {
    lost.close();
    await closeMqttClient(client);
  }
  return 0;
}

interface PublishHow {
  readonly topic: string;
  readonly qos: Qos;
  readonly retain: boolean;
  /** Aborted with the error to throw when the connection is gone. */
  readonly lost: AbortSignal;
}

function checkArguments(topic: string, message: string | undefined, fromStdin: boolean): void {
  const fault = topicNameFault(topic);
  if (fault !== null) {
    throw new TrunklineError(
      'topic-invalid',
      `The topic ${JSON.stringify(topic)} ${fault}. See \`trunkline pub --help\`.`,
    );
  }
  if (fromStdin === (message === undefined)) return;
  const what = fromStdin
    ? 'Give either <message> or --stdin-lines, not both'
    : 'Give a <message>, or --stdin-lines';
  throw new TrunklineError('config-invalid', `${what}. See \`trunkline pub --help\`.`);
}

async function publish(client: MqttClient, message: string, how: PublishHow): Promise<void> {
  const { topic, qos, retain, lost } = how;
  lost.throwIfAborted();
  await new Promise<void>((resolve, reject) => {
    const fail = () => reject(lost.reason);
    lost.addEventListener('abort', fail, { once: true });
    client.publish(topic, message, { qos, retain }, (error) => {
      lost.removeEventListener('abort', fail);
      if (error) reject(error);
      else resolve();
    });
  });
}

/** Lines keep their order: they are handed over in it, and the connection keeps it. */
async function publishLines(
  client: MqttClient,
  input: NodeJS.ReadableStream,
  how: PublishHow,
): Promise<void> {
  const reader = createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY });
  const stopReading = () => reader.close();
  how.lost.addEventListener('abort', stopReading, { once: true });
  const underWay = new Set<Promise<void>>();
  for await (const line of reader) {
    if (underWay.size >= underWayMax) await Promise.race(underWay);
    const sending = publish(client, line, how).finally(() => underWay.delete(sending));
    // A failure comes out of the race above or of the whole below; until then it must not count
    // as unhandled.
    sending.catch(() => {});
    underWay.add(sending);
  }
  how.lost.throwIfAborted();
  await Promise.all(underWay);
}

/** A command that is run once does not wait for a broker to come back. */
function connectionLost(client: MqttClient): { signal: AbortSignal; close(): void } {
  const controller = new AbortController();
  setMaxListeners(underWayMax + 2, controller.signal);
  const onClose = () => {
    const text = 'The broker closed the connection before it had every message.';
    controller.abort(new TrunklineError('unreachable', text));
  };
  client.once('close', onClose);
  return { signal: controller.signal, close: () => client.off('close', onClose) };
}

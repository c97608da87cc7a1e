/**
 * The one file that opens connections with mqtt.js, for simulated devices and for the command line.
 * The first connection either stands or fails with one sentence; later losses are mended by mqtt.js.
 */
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt';
import { messageOf, systemCode, TrunklineError } from '../base/errors.ts';
import type { Qos } from '../base/publication.ts';

export type { MqttClient } from 'mqtt';

/** Where the broker is, and who calls. */
export interface BrokerAddress {
  readonly host: string;
  readonly port: number;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
}

export interface MqttClientOptions {
  readonly clientId: string;
  readonly clean: boolean;
}

/** How long a connection may take until its CONNACK; brokers are near or not there. */
const connectMs = 10_000;

const reconnectMs = 1_000;

/** CONNACK return codes, MQTT 3.1.1 table 3.1. */
const returnCodeUnavailable = 3;
const returnCodeBadCredentials = 4;
const returnCodeNotAuthorized = 5;

/** Throws `unreachable` or `not-authorized`. The client has an 'error' listener from the start. */
export async function openMqttClient(
  address: BrokerAddress,
  options: MqttClientOptions,
): Promise<MqttClient> {
  const client = mqtt.connect(clientOptions(address, options));
  let lastError: Error | null = null;
  client.on('error', (error) => {
    lastError = error;
  });
  try {
    await new Promise<void>((resolve, reject) => {
      client.once('connect', () => resolve());
      client.once('error', reject);
      client.once('close', () => reject(lastError ?? new Error('the connection was closed')));
    });
  } catch (error) {
    await client.endAsync(true);
    throw connectFault(address, error);
  }
  return client;
}

/** [MQTT-3.9.3-2] the return code of a refused subscription. */
const refusedCode = 128;

/** Throws `not-authorized` when the broker refuses. */
export async function subscribeMqtt(client: MqttClient, filter: string, qos: Qos): Promise<void> {
  let cause: unknown;
  try {
    const grants = await client.subscribeAsync(filter, { qos });
    if (grants.every((grant) => Number(grant.qos) !== refusedCode)) return;
  } catch (error) {
    cause = error;
  }
  throw new TrunklineError(
    'not-authorized',
    `The broker refused the subscription to ${filter}: this user may not read there.`,
    { cause },
  );
}

/** Says goodbye; after two seconds without an answer the connection is cut. */
export async function closeMqttClient(client: MqttClient): Promise<void> {
  if (!client.connected) {
    await client.endAsync(true);
    return;
  }
  const timer = setTimeout(() => client.stream.destroy(), 2_000);
  try {
    await client.endAsync();
  } finally {
    clearTimeout(timer);
  }
}

function clientOptions(address: BrokerAddress, options: MqttClientOptions): IClientOptions {
  return {
    protocol: 'mqtt',
    host: address.host,
    port: address.port,
    clientId: options.clientId,
    clean: options.clean,
    connectTimeout: connectMs,
    reconnectPeriod: reconnectMs,
    queueQoSZero: false,
    keepalive: 30,
    ...(address.username === undefined ? {} : { username: address.username }),
    ...(address.password === undefined ? {} : { password: address.password }),
  };
}

function connectFault(address: BrokerAddress, error: unknown): TrunklineError {
  const at = `${address.host}:${address.port}`;
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === returnCodeBadCredentials || code === returnCodeNotAuthorized) {
    const who = address.username === undefined ? 'without a user name' : `"${address.username}"`;
    return new TrunklineError(
      'not-authorized',
      `The broker at ${at} does not let ${who} in: give --username and --password of a known device.`,
      { cause: error },
    );
  }
  const reason =
    code === returnCodeUnavailable
      ? 'it says that it is not available now'
      : (systemCode(error) ?? messageOf(error));
  return new TrunklineError(
    'unreachable',
    `No MQTT broker takes connections at ${at} (${reason}): start one with \`trunkline up\`, or choose another with --host and --port.`,
    { cause: error },
  );
}

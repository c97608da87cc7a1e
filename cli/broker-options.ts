/** Options that say which broker a command talks to, shared by pub, sub and devices. */
import { randomBytes } from 'node:crypto';
import type { Qos } from '../base/publication.ts';
import type { BrokerAddress } from '../devices/mqtt-client.ts';

export const brokerOptions = {
  host: { kind: 'text', placeholder: 'HOST', default: '127.0.0.1', about: "The broker's address." },
  port: { kind: 'number', default: 1883, min: 1, max: 65_535, about: "The broker's port." },
  username: { kind: 'text', placeholder: 'NAME', about: 'User name, when the broker asks.' },
  password: { kind: 'text', placeholder: 'TEXT', about: 'Password of that user.' },
} as const;

interface BrokerValues {
  readonly host: string;
  readonly port: number;
  readonly username: string | undefined;
  readonly password: string | undefined;
}

export function brokerAddress(values: BrokerValues): BrokerAddress {
  const { host, port, username, password } = values;
  return { host, port, username, password };
}

/** The choices of a --qos option are its only values. */
export function qosOf(text: '0' | '1' | '2'): Qos {
  return Number(text) as Qos;
}

/** Short and different for each run, to stand in client ids. */
export function runName(): string {
  return randomBytes(3).toString('hex');
}

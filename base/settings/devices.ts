/** Where devices come in, and who they are. */
import { z } from 'zod';
import { authFields } from './auth.ts';
import { listener } from './kinds.ts';

export const mqtt = z.strictObject({
  ...listener(1883, 'MQTT over TCP'),
  shared_strategy: z
    .enum(['round-robin', 'sticky', 'least-loaded'])
    .default('round-robin')
    .describe(
      'Who of a shared subscription gets a message: each in turn, the same for one publisher, or who has least to do.',
    ),
});
export const mqtts = z.strictObject({
  ...listener(8883, 'MQTT over TLS (with tls.cert)'),
});
export const ws = z.strictObject({
  ...listener(8083, 'MQTT over WebSocket'),
  path: z
    .string()
    .startsWith('/', 'it must begin with a slash')
    .default('/mqtt')
    .describe('Path of the WebSocket endpoint.'),
});
export const wss = z.strictObject({
  ...listener(8084, 'MQTT over WebSocket with TLS (with tls.cert)'),
});
export const tls = z.strictObject({
  cert: z.string().default('').describe('PEM file of the certificate chain; empty: no TLS.'),
  key: z.string().default('').describe('PEM file of the private key.'),
  ca: z
    .string()
    .default('')
    .describe(
      "PEM file of the authorities of devices' certificates, for auth.certificate; empty: none are asked for.",
    ),
  crl: z
    .string()
    .default('')
    .describe('PEM file of the certificates that those authorities have taken back; empty: none.'),
  min_version: z
    .enum(['1.2', '1.3'])
    .default('1.3')
    .describe('The lowest version of TLS that is spoken, at every door and to every peer.'),
});
export const mqtt5 = z.strictObject({
  response_information: z
    .string()
    .regex(/^[^+#\0]*$/, 'it must have no wildcard')
    .default('')
    .describe(
      'Topic under which MQTT 5 devices that ask get a level of their own for responses; empty: none.',
    ),
});

const user = z.strictObject({
  username: z.string().min(1).describe('User name of a device.'),
  password_sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/, 'it must be 64 hexadecimal digits in lower case')
    .describe('SHA-256 of its password, 64 hexadecimal digits.'),
});
export const auth = z.strictObject({
  anonymous: z
    .boolean()
    .default(false)
    .describe(
      'Let devices in without a user name on any address. On loopback they always are, unless auth.users is set.',
    ),
  registry: z
    .boolean()
    .default(false)
    .describe(
      'Let devices of the registry in: its name is the user name and the client identifier of a device.',
    ),
  users: z.array(user).default([]).describe('Devices that may connect. Once set, no other may.'),
  ...authFields,
});

/** Bridges to brokers of another make. */
import { z } from 'zod';
import { count, name } from './kinds.ts';

const foreignTopic = z.strictObject({
  filter: z.string().min(1).default('#').describe('Topic filter, without the prefixes.'),
  direction: z
    .enum(['out', 'in', 'both'])
    .default('both')
    .describe('out: from this edge to the other broker; in: from there to here; both.'),
  qos: z
    .union([z.literal(0), z.literal(1), z.literal(2)])
    .default(1)
    .describe('Highest QoS.'),
  local_prefix: z.string().default('').describe('In front of the topic at this edge.'),
  remote_prefix: z.string().default('').describe('In front of the topic at the other broker.'),
});
export const foreign = z.strictObject({
  name: name.describe('Name of the bridge, unique at this edge.'),
  url: z
    .string()
    .regex(/^(mqtts?|wss?):\/\/[^/\s]+/, 'it must be mqtt://, mqtts://, ws:// or wss:// and a host')
    .describe('The other broker: mqtt://host:1883, mqtts://, ws://host/path or wss://.'),
  version: z
    .union([z.literal(4), z.literal(5)])
    .default(5)
    .describe('5 for MQTT 5, 4 for MQTT 3.1.1, which carries no properties.'),
  bridge_bit: z
    .boolean()
    .default(true)
    .describe(
      'With MQTT 3.1.1: ask the other broker to treat this as a bridge, so that it sends nothing back. Not every broker takes it.',
    ),
  client_id: z
    .string()
    .max(65_535)
    .default('')
    .describe(
      'Client identifier there; empty: trunkline-, the name of the edge and of the bridge.',
    ),
  username: z.string().default('').describe('User name there.'),
  password: z.string().default('').describe('Password there.'),
  ca: z.string().default('').describe('PEM file of who vouches for the other broker.'),
  cert: z.string().default('').describe('PEM file of the certificate to show to it.'),
  key: z.string().default('').describe('PEM file of that key.'),
  keep_alive_seconds: count.max(65_535).default(30).describe('Keep alive of the connection.'),
  topics: z.array(foreignTopic).min(1).describe('What goes which way.'),
});

/**
 * Every setting, with its default, its bounds and its description: the single source of the
 * configuration file's checks, of the environment names and flags, and of docs/configuration.md.
 */
import { z } from 'zod';

const whole = z.number().int('it must be a whole number');
const port = whole.min(0).max(65_535);
const bytes = whole.min(1);
const count = whole.min(1);
const name = z
  .string()
  .regex(/^[A-Za-z0-9._-]{1,64}$/, 'it must be 1 to 64 letters, digits, dots, dashes, underscores');
const host = z.string().min(1);
/** It goes into a header, which takes no other characters; between others a space ends it. */
const secret = z.string().regex(/^[!-~]*$/, 'it must be printable ASCII characters without spaces');

const listener = (defaultPort: number, what: string) => ({
  host: host.default('127.0.0.1').describe(`Address that ${what} listens on.`),
  port: port.default(defaultPort).describe(`Port of ${what}; 0 takes a free one.`),
});

const mqtt = z.strictObject({
  ...listener(1883, 'MQTT over TCP'),
  shared_strategy: z
    .enum(['round-robin', 'sticky', 'least-loaded'])
    .default('round-robin')
    .describe(
      'Who of a shared subscription gets a message: each in turn, the same for one publisher, or who has least to do.',
    ),
});
const mqtts = z.strictObject({
  ...listener(8883, 'MQTT over TLS (with tls.cert)'),
});
const ws = z.strictObject({
  ...listener(8083, 'MQTT over WebSocket'),
  path: z
    .string()
    .startsWith('/', 'it must begin with a slash')
    .default('/mqtt')
    .describe('Path of the WebSocket endpoint.'),
});
const wss = z.strictObject({
  ...listener(8084, 'MQTT over WebSocket with TLS (with tls.cert)'),
});
const tls = z.strictObject({
  cert: z.string().default('').describe('PEM file of the certificate chain; empty: no TLS.'),
  key: z.string().default('').describe('PEM file of the private key.'),
});
const edge = z.strictObject({
  durability: z
    .enum(['disk', 'memory'])
    .default('disk')
    .describe(
      'When QoS 1 and 2 are acknowledged: disk after the fdatasync, memory at once (a crash may lose what was acknowledged).',
    ),
  commit_ms: whole
    .min(0)
    .max(1_000)
    .default(0)
    .describe('Milliseconds that a write to the spool waits for more; 0 for not at all.'),
  commit_bytes: bytes
    .default(4 * 1024 * 1024)
    .describe('Bytes that are written to the spool without waiting, and about the most at once.'),
  id: name
    .default('edge-1')
    .describe('Name of this edge, unique in the fleet: letters, digits, dot, dash, underscore.'),
  region: z.string().default('local').describe('Where this edge stands; shown to operators.'),
  cores: z
    .array(z.string().regex(/^.+:\d+$/, 'it must be host:port'))
    .min(1)
    .default(['127.0.0.1:7400'])
    .describe('Trunk addresses of the cores, host:port, tried in order.'),
  http_host: host.default('127.0.0.1').describe("Address of the edge's own metrics and health."),
  http_port: port
    .default(8081)
    .describe("Port of the edge's own /metrics, /healthz and /readyz; 0 takes a free one."),
  workers: count
    .max(64)
    .default(1)
    .describe('Processes that share the devices of this edge; --workers for short.'),
});
const core = z.strictObject({
  id: name.default('core-1').describe('Name of this core.'),
});
const trunk = z.strictObject({
  ...listener(7400, 'the trunk (where edges connect)'),
  token: secret
    .default('')
    .describe('Shared secret of edges and cores. Needed when the trunk is not on loopback.'),
});
const gateway = z.strictObject({
  ...listener(7500, 'the front door (where gateways connect)'),
  token: secret
    .default('')
    .describe('Bearer token of gateways. Needed when the front door is not on loopback.'),
});
const http = z.strictObject({
  ...listener(8080, "the operators' HTTP"),
  token: secret
    .default('')
    .describe('Bearer token of operators. Needed when HTTP is not on loopback.'),
  ready_edges: whole
    .min(0)
    .default(0)
    .describe('Edges that must be attached before the core says it is ready.'),
});
const user = z.strictObject({
  username: z.string().min(1).describe('User name of a device.'),
  password_sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/, 'it must be 64 hexadecimal digits in lower case')
    .describe('SHA-256 of its password, 64 hexadecimal digits.'),
});
const auth = z.strictObject({
  anonymous: z
    .boolean()
    .default(false)
    .describe(
      'Let devices in without a user name on any address. On loopback they always are, unless auth.users is set.',
    ),
  users: z.array(user).default([]).describe('Devices that may connect. Once set, no other may.'),
});
const log = z.strictObject({
  level: z
    .enum(['trace', 'debug', 'info', 'warn', 'error', 'silent'])
    .default('info')
    .describe('The least severe lines to write.'),
  format: z
    .enum(['auto', 'json', 'pretty'])
    .default('auto')
    .describe('auto is pretty on a terminal and JSON elsewhere.'),
});
const limits = z.strictObject({
  connections: count.default(10_000).describe('MQTT connections of one edge.'),
  packet_bytes: bytes
    .max(16 * 1024 * 1024)
    .default(1024 * 1024)
    .describe('Largest MQTT packet that a device may send.'),
  output_bytes: bytes
    .default(4 * 1024 * 1024)
    .describe('Bytes waiting for one slow device; past it QoS 0 is dropped and QoS 1 and 2 queue.'),
  drain_seconds: count
    .default(30)
    .describe('How long a device may leave its bytes unread before it is disconnected.'),
  inflight: count
    .max(65_535)
    .default(64)
    .describe('Deliveries of QoS 1 and 2 to one session that wait for its acknowledgement.'),
  queue_messages: count.default(10_000).describe('Messages that wait for one session.'),
  queue_bytes: bytes
    .default(16 * 1024 * 1024)
    .describe('Bytes of messages that wait for one session.'),
  queue_overflow: z
    .enum(['refuse-newest', 'drop-oldest'])
    .default('refuse-newest')
    .describe('What gives way when the queue of a session is full.'),
  receive_maximum: count
    .max(65_535)
    .default(1_000)
    .describe('QoS 1 and 2 of one device on their way in: what MQTT 5 calls Receive Maximum.'),
  topic_aliases: whole
    .min(0)
    .max(65_535)
    .default(64)
    .describe('Topic aliases that one device may use.'),
  keep_alive_seconds_max: whole
    .min(0)
    .max(65_535)
    .default(0)
    .describe('Longest keep alive of an MQTT 5 device, which is told of it; 0 for no bound.'),
  session_expiry_seconds: count
    .default(7 * 24 * 3600)
    .describe('How long a session without a connection is kept; MQTT 5 devices may ask for less.'),
  subscriptions: count.default(1_000).describe('Subscriptions of one session.'),
  retained_messages: count
    .default(1_000_000)
    .describe('Retained messages of one edge; a topic past it is delivered, but not retained.'),
  retained_bytes: bytes
    .default(256 * 1024 * 1024)
    .describe('Bytes of the retained messages of one edge.'),
  spool_bytes: bytes
    .default(1024 * 1024 * 1024)
    .describe('Size of the spool on disk; when full, QoS 1 and 2 publishers wait.'),
  log_bytes: bytes
    .default(1024 * 1024 * 1024)
    .describe("Size of the core's log; past it the oldest goes, counted."),
  log_seconds: count.default(2 * 3600).describe("Age past which the core's log is trimmed."),
  gateway_devices: count.default(10_000).describe('Devices attached behind one gateway stream.'),
});

const mqtt5 = z.strictObject({
  response_information: z
    .string()
    .regex(/^[^+#\0]*$/, 'it must have no wildcard')
    .default('')
    .describe(
      'Topic under which MQTT 5 devices that ask get a level of their own for responses; empty: none.',
    ),
});

const sections = {
  mqtt,
  mqtts,
  ws,
  wss,
  mqtt5,
  tls,
  edge,
  core,
  trunk,
  gateway,
  http,
  auth,
  log,
  limits,
};

export const configSchema = z.strictObject({
  data: z.string().min(1).default('./data').describe('Folder of everything that is kept.'),
  mqtt: mqtt.prefault({}),
  mqtts: mqtts.prefault({}),
  ws: ws.prefault({}),
  wss: wss.prefault({}),
  mqtt5: mqtt5.prefault({}),
  tls: tls.prefault({}),
  edge: edge.prefault({}),
  core: core.prefault({}),
  trunk: trunk.prefault({}),
  gateway: gateway.prefault({}),
  http: http.prefault({}),
  auth: auth.prefault({}),
  log: log.prefault({}),
  limits: limits.prefault({}),
});

export type Config = z.infer<typeof configSchema>;
export type Limits = Config['limits'];

/** One setting as documentation, environment and flags see it. */
export interface Setting {
  /** Path in the file, such as `mqtt.port`. */
  readonly path: string;
  /** Environment variable, such as `TRUNKLINE_MQTT_PORT`. */
  readonly env: string;
  /** Flag, such as `mqtt-port` (written with two dashes). */
  readonly flag: string;
  readonly description: string;
  readonly kind: 'string' | 'number' | 'boolean' | 'list' | 'table-list';
  readonly defaultValue: unknown;
}

/** All settings in the order of the schema. */
export function settings(): Setting[] {
  const defaults = configSchema.parse({}) as unknown as Record<string, unknown>;
  const list = [settingOf('data', configSchema.shape.data.description ?? '', defaults['data'])];
  for (const [section, schema] of Object.entries(sections)) {
    const values = defaults[section] as Record<string, unknown>;
    for (const [key, field] of Object.entries(schema.shape)) {
      list.push(settingOf(`${section}.${key}`, field.description ?? '', values[key]));
    }
  }
  return list;
}

function settingOf(path: string, description: string, defaultValue: unknown): Setting {
  return {
    path,
    env: `TRUNKLINE_${path.replace('.', '_').toUpperCase()}`,
    flag: path.replace('.', '-').replaceAll('_', '-'),
    description,
    kind: kindOf(path, defaultValue),
    defaultValue,
  };
}

function kindOf(path: string, value: unknown): Setting['kind'] {
  if (path === 'auth.users') return 'table-list';
  if (Array.isArray(value)) return 'list';
  if (typeof value === 'number') return 'number';
  if (typeof value === 'boolean') return 'boolean';
  return 'string';
}

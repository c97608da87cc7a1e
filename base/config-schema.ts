/**
 * Every setting, with its default, its bounds and its description: the single source of the
 * configuration file's checks, of the environment names and flags, and of docs/configuration.md.
 */
import { z } from 'zod';
import { authHttp, jwt } from './settings/auth.ts';
import { core, gateway, http, nats, trunk } from './settings/core.ts';
import { auth, mqtt, mqtt5, mqtts, tls, ws, wss } from './settings/devices.ts';
import { edge } from './settings/edge.ts';
import { limits } from './settings/limits.ts';
import { rights } from './settings/rights.ts';

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
const sections = {
  mqtt,
  mqtts,
  ws,
  wss,
  mqtt5,
  tls,
  edge,
  core,
  nats,
  trunk,
  gateway,
  http,
  auth,
  jwt,
  auth_http: authHttp,
  rights,
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
  nats: nats.prefault({}),
  trunk: trunk.prefault({}),
  gateway: gateway.prefault({}),
  http: http.prefault({}),
  auth: auth.prefault({}),
  jwt: jwt.prefault({}),
  auth_http: authHttp.prefault({}),
  rights: rights.prefault({}),
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

const tableLists = new Set([
  'auth.users',
  'auth.scram_users',
  'edge.foreign',
  'rights.role',
  'rights.rule',
]);

function kindOf(path: string, value: unknown): Setting['kind'] {
  if (tableLists.has(path)) return 'table-list';
  if (Array.isArray(value)) return 'list';
  if (typeof value === 'number') return 'number';
  if (typeof value === 'boolean') return 'boolean';
  return 'string';
}

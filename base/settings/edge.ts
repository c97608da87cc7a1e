/** The edge: its place in the fleet, its spool and its cores. */
import { z } from 'zod';
import { edgeLanesMax } from '../limits.ts';
import { foreign } from './foreign.ts';
import { bytes, count, host, name, port, whole } from './kinds.ts';

export const edge = z.strictObject({
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
  region: z
    .string()
    .default('local')
    .describe(
      'Where this edge stands; shown to operators. Of cores that are alike, one of this region is used.',
    ),
  lanes: count
    .max(edgeLanesMax)
    .default(4)
    .describe(
      'Lanes that topics are spread over on their way up. A change takes effect behind what waits already.',
    ),
  retain_seconds: whole
    .min(0)
    .default(600)
    .describe(
      'How long messages stay in the spool after the core has them, in case it loses its data; 0 for not at all.',
    ),
  retain_bytes: whole
    .min(0)
    .default(256 * 1024 * 1024)
    .describe('Bytes of such messages; they go first when limits.spool_bytes is reached.'),
  cores: z
    .array(z.string().regex(/^[^@\s]+:\d+(@[^@\s]+)?$/, 'it must be host:port or host:port@region'))
    .min(1)
    .default(['127.0.0.1:7400'])
    .describe(
      'Trunk addresses of the cores, host:port, or host:port@region. Of several, the nearest healthy one is used.',
    ),
  probe_seconds: whole
    .min(0)
    .max(3_600)
    .default(15)
    .describe(
      'How often round trip and health of the cores are measured, when there are several; 0 for never.',
    ),
  http_host: host.default('127.0.0.1').describe("Address of the edge's own metrics and health."),
  http_port: port
    .default(8081)
    .describe("Port of the edge's own /metrics, /healthz and /readyz; 0 takes a free one."),
  workers: count
    .max(64)
    .default(1)
    .describe('Processes that share the devices of this edge; --workers for short.'),
  replay_rate: whole
    .min(0)
    .default(10_000)
    .describe(
      'Messages a second by which the backlog of an outage shrinks; 0 for as fast as it goes.',
    ),
  compression: z
    .enum(['off', 'auto'])
    .default('auto')
    .describe(
      'Payloads on the trunk: auto deflates them where the core is more than 1 ms away and they shrink by a third.',
    ),
  foreign: z
    .array(foreign)
    .default([])
    .describe('Bridges to brokers of another make, by plain MQTT; docs/foreign.md tells how.'),
});

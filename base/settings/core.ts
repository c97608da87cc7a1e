/** The core: its doors for edges, gateways and operators. */
import { z } from 'zod';
import { count, listener, name, secret, whole } from './kinds.ts';

export const core = z.strictObject({
  id: name.default('core-1').describe('Name of this core.'),
  region: z.string().default('local').describe('Where this core stands; told to every edge.'),
  drain_seconds: whole
    .min(0)
    .max(3_600)
    .default(10)
    .describe('How long a core that stops waits for its edges to go to another one.'),
});
export const trunk = z.strictObject({
  ...listener(7400, 'the trunk (where edges connect)'),
  token: secret
    .default('')
    .describe('Shared secret of edges and cores. Needed when the trunk is not on loopback.'),
  attach_rate: count
    .default(50)
    .describe('Edges that may attach to one core in a second; others are told when to come again.'),
  attach_burst: count.default(100).describe('Edges that may attach at once, after a quiet time.'),
  canary_seconds: whole
    .min(0)
    .max(3_600)
    .default(10)
    .describe(
      'How often an edge proves each lane with a publication that goes up, through the core and back; 0 for never.',
    ),
});
export const gateway = z.strictObject({
  ...listener(7500, 'the front door (where gateways connect)'),
  token: secret
    .default('')
    .describe('Bearer token of gateways. Needed when the front door is not on loopback.'),
});
export const http = z.strictObject({
  ...listener(8080, "the operators' HTTP"),
  token: secret
    .default('')
    .describe('Bearer token of operators. Needed when HTTP is not on loopback.'),
  ready_edges: whole
    .min(0)
    .default(0)
    .describe('Edges that must be attached before the core says it is ready.'),
});

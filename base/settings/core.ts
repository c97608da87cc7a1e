/** The core: its doors for edges, gateways and operators. */
import { z } from 'zod';
import { count, listener, name, secret, whole } from './kinds.ts';

const pem = z.string().default('');

function isBackplane(values: readonly string[]): boolean {
  if (values.length === 1 && values[0] === 'embedded') return true;
  return values.length > 0 && values.every((value) => /^(nats|tls):\/\/[^/\s@]+$/.test(value));
}

export const core = z.strictObject({
  id: name.default('core-1').describe('Name of this core.'),
  region: z.string().default('local').describe('Where this core stands; told to every edge.'),
  backplane: z
    .array(z.string())
    .default(['embedded'])
    .refine(
      isBackplane,
      'it must be embedded, or addresses that begin with nats:// or tls:// and name no user',
    )
    .describe(
      'Where the log is: embedded, for one core, or the NATS servers that many cores share, such as nats://10.0.0.1:4222.',
    ),
  drain_seconds: whole
    .min(0)
    .max(3_600)
    .default(10)
    .describe('How long a core that stops waits for its edges to go to another one.'),
});
export const nats = z.strictObject({
  prefix: z
    .string()
    .regex(/^[A-Za-z0-9_-]{1,32}$/, 'it must be 1 to 32 letters, digits, dashes, underscores')
    .default('tl1')
    .describe(
      'In front of the names of streams and subjects; cores that share a log have the same.',
    ),
  replicas: whole
    .min(0)
    .max(5)
    .default(0)
    .describe('Servers that keep each message; 0 for 3 in a cluster and 1 on a single server.'),
  credentials: z
    .string()
    .default('')
    .describe('File with the credentials of a NATS account (.creds); empty for none.'),
  nkey: z
    .string()
    .default('')
    .describe('File with the seed of an nkey of a NATS user; empty for none.'),
  token: z.string().default('').describe('Token of the NATS servers; empty for none.'),
  user: z.string().default('').describe('User name at NATS; empty for none.'),
  password: z.string().default('').describe('Password of that user.'),
  tls_ca: z
    .string()
    .default('')
    .describe(
      'PEM file of the authorities that the NATS servers are checked by; empty: those of the system.',
    ),
  tls_cert: z.string().default('').describe('PEM file of the certificate of this core for NATS.'),
  tls_key: z.string().default('').describe('PEM file of its private key.'),
});
export const trunk = z.strictObject({
  ...listener(7400, 'the trunk (where edges connect)'),
  token: secret
    .default('')
    .describe('Shared secret of edges and cores. Needed when the trunk is not on loopback.'),
  tls_cert: pem.describe(
    'PEM file of the certificate of this core, or of this edge as a client; empty: the core speaks no TLS.',
  ),
  tls_key: pem.describe('PEM file of its private key.'),
  tls_ca: pem.describe(
    'PEM file of the authorities that the other side is checked by: a core lets in nobody else then. For an edge empty, or system, stands for those of Node.js.',
  ),
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
  tls_cert: pem.describe('PEM file of the certificate of the front door; empty: no TLS.'),
  tls_key: pem.describe('PEM file of its private key.'),
  tls_ca: pem.describe(
    'PEM file of the authorities of gateways and operators: nobody is let in without a certificate of theirs then.',
  ),
});
export const http = z.strictObject({
  ...listener(8080, "the operators' HTTP"),
  token: secret
    .default('')
    .describe('Bearer token of operators. Needed when HTTP is not on loopback.'),
  tls_cert: pem.describe("PEM file of the certificate of the operators' HTTP; empty: no TLS."),
  tls_key: pem.describe('PEM file of its private key.'),
  ready_edges: whole
    .min(0)
    .default(0)
    .describe('Edges that must be attached before the core says it is ready.'),
});

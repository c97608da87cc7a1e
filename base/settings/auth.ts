/** How clients prove who they are, beside the users of `auth.users`; docs/authentication.md. */
import { z } from 'zod';
import { count, secret, whole } from './kinds.ts';

/** Those of public keys: with one of them a key that anybody may read can sign nothing. */
const jwtAlgorithms = [
  ...['EdDSA', 'ES256', 'ES384', 'ES512'],
  ...['PS256', 'PS384', 'PS512', 'RS256', 'RS384', 'RS512'],
] as const;

export const authMethods = ['certificate', 'password', 'registry', 'jwt', 'http'] as const;

const scramUser = z.strictObject({
  username: z.string().min(1).describe('User name of a device.'),
  verifier: z
    .string()
    .regex(
      /^SCRAM-SHA-256\$[1-9]\d{3,6}:[A-Za-z0-9+/]{16,}={0,2}\$[A-Za-z0-9+/]{43}=:[A-Za-z0-9+/]{43}=$/,
      'it must be what `trunkline scram` prints',
    )
    .describe('What `trunkline scram` prints for its password.'),
});

/** Of the section `auth`. */
export const authFields = {
  order: z
    .array(z.enum(authMethods))
    .default([...authMethods])
    .describe('The order in which methods are asked; those not named come last.'),
  client_id: z
    .enum(['any', 'equal', 'prefix'])
    .default('any')
    .describe(
      'Client identifiers that a credential may use: any, its own name, or its name and what follows a / or : behind it.',
    ),
  certificate: z
    .string()
    .regex(
      /^$|^(CN|DNS|URI|email):[^{}]*(\{tenant\}[^{}]+)?\{name\}([^{}]+\{tenant\})?[^{}]*$/,
      'it must be such as CN:{name}, DNS:{name}.{tenant}.example or URI:urn:{tenant}:{name}',
    )
    .default('')
    .describe(
      'Where the name stands in client certificates: CN, DNS, URI or email, and a form with {name} and perhaps {tenant}; empty: certificates prove nothing.',
    ),
  scram_users: z
    .array(scramUser)
    .default([])
    .describe('Devices that may prove themselves by SCRAM-SHA-256 of MQTT 5.'),
  attempts: count
    .default(10)
    .describe('Failures for one user name, or else client identifier, before it is made to wait.'),
  attempts_per_address: count
    .default(100)
    .describe('Failures from one address before it is made to wait.'),
  attempts_wait_seconds_max: count
    .default(300)
    .describe('The longest of these waits, which double from one second on.'),
};

export const jwt = z
  .strictObject({
    keys: z
      .string()
      .regex(
        /^(?!http:)|^http:\/\/(127\.\d+\.\d+\.\d+|localhost|\[::1\])[:/]/,
        'it must be a file, an https address, or http on this machine',
      )
      .default('')
      .describe('JSON Web Key Set to check tokens with: a file, or an https address; empty: none.'),
    issuer: z.string().default('').describe('The `iss` that a token must have.'),
    audience: z.string().default('').describe('The `aud` that a token must have.'),
    algorithms: z
      .array(z.enum(jwtAlgorithms))
      .min(1)
      .default(['ES256', 'EdDSA', 'RS256'])
      .describe('Algorithms that are taken.'),
    name_claim: z.string().min(1).default('sub').describe('The claim that names the client.'),
    tenant_claim: z.string().default('').describe('The claim that names its tenant; empty: none.'),
    roles_claim: z.string().default('').describe('The claim that lists its roles; empty: none.'),
    refresh_seconds: count
      .default(300)
      .describe('How often the keys are read anew; an unknown `kid` has them read at once.'),
  })
  .refine(({ keys, issuer, audience }) => keys === '' || (issuer !== '' && audience !== ''), {
    error: 'jwt.keys needs jwt.issuer and jwt.audience, or tokens made for others would do',
  });

export const authHttp = z.strictObject({
  url: z
    .string()
    .regex(
      /^$|^https:\/\/|^http:\/\/(127\.\d+\.\d+\.\d+|localhost|\[::1\])[:/]/,
      'it must be https, or http on this machine',
    )
    .default('')
    .describe('Address that credentials are posted to; empty: none.'),
  token: secret.default('').describe('Sent as `Authorization: Bearer`; empty: not sent.'),
  timeout_ms: whole.min(10).max(60_000).default(2_000).describe('Time that an answer may take.'),
  cache_seconds: whole
    .min(0)
    .default(60)
    .describe('How long an answer holds for the same credentials; 0 for not at all.'),
  cache_entries: count.default(10_000).describe('Answers that are kept.'),
  requests: count
    .default(64)
    .describe('Questions under way at once; past it clients are told to come again.'),
  breaker_failures: count
    .default(5)
    .describe('Failures in a row after which nobody is asked for a while.'),
  breaker_seconds: count.default(10).describe('How long that is.'),
});

/** Whether the configuration has a way to tell clients apart. */
export function hasAuthentication(config: {
  readonly auth: {
    readonly users: readonly unknown[];
    readonly scram_users: readonly unknown[];
    readonly certificate: string;
    readonly registry: boolean;
  };
  readonly jwt: { readonly keys: string };
  readonly auth_http: { readonly url: string };
}): boolean {
  const { auth, jwt: tokens, auth_http: hook } = config;
  const isListed = auth.users.length > 0 || auth.scram_users.length > 0;
  const isKnown = auth.registry || auth.certificate !== '';
  return isListed || isKnown || tokens.keys !== '' || hook.url !== '';
}

/** Who may publish and subscribe to what: rules and roles. */
import { z } from 'zod';
import { patternFault } from '../rights/pattern.ts';

const word = z
  .string()
  .regex(/^[A-Za-z0-9._-]{1,64}$/, 'it must be 1 to 64 letters, digits, dots, dashes, underscores');

const filter = z.string().superRefine((text, context) => {
  const fault = patternFault(text);
  if (fault !== null)
    context.addIssue(`it is ${JSON.stringify(text.slice(0, 128))}, which ${fault}`);
});

const ruleShape = z.strictObject({
  name: word.describe('Said in logs and by `trunkline explain`.'),
  effect: z.enum(['allow', 'deny']).describe('A denial wins over every allowance.'),
  action: z.enum(['publish', 'subscribe']).describe('What the rule is about.'),
  filter: filter.describe(
    'Topics, with wildcards and placeholders: {client}, {device}, {username}, {tenant}, {label.NAME}.',
  ),
  roles: z.array(word).default([]).describe('Who has one of these roles.'),
  devices: z.array(z.string().min(1)).default([]).describe('Or is one of these devices.'),
  qos: z
    .union([z.literal(0), z.literal(1), z.literal(2)])
    .optional()
    .describe('Of an allowance: the highest QoS; 2 unless given.'),
  retain: z
    .boolean()
    .default(false)
    .describe('Of an allowance to publish: also to be retained. Of a denial: only what is to be.'),
  will: z
    .boolean()
    .default(false)
    .describe('Of an allowance to publish: also as a will. Of a denial: only wills.'),
});

export const rightsRule = ruleShape.superRefine((rule, context) => {
  if (rule.effect === 'deny' && rule.qos !== undefined) {
    context.addIssue('a denial holds for every QoS; leave qos out');
  }
  if (rule.action === 'subscribe' && (rule.retain || rule.will)) {
    context.addIssue('retain and will are for action "publish"; leave them out');
  }
});

/** More rules would make each decision slow. */
const rulesMax = 1_000;

export const rightsRole = z.strictObject({
  name: word.describe('As rules name it.'),
  devices: z.array(z.string().min(1)).default([]).describe('Devices that have the role.'),
  usernames: z.array(z.string().min(1)).default([]).describe('User names that have the role.'),
});

export const rights = z.strictObject({
  role: z
    .array(rightsRole)
    .max(rulesMax)
    .default([])
    .describe('Who has which role, beside the roles that credentials carry.'),
  rule: z
    .array(rightsRule)
    .max(rulesMax)
    .default([])
    .describe(
      'Who may publish and subscribe to what; docs/rights.md tells how. Once there is a rule or role, what no rule allows is refused.',
    ),
});

export type RightsRule = z.infer<typeof rightsRule>;
export type RightsSettings = z.infer<typeof rights>;

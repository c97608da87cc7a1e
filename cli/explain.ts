/** `trunkline explain`: what the rules of a configuration let a device do, and which rule decides. */
import { loadConfig } from '../base/config.ts';
import { TrunklineError } from '../base/errors.ts';
import type { Qos } from '../base/publication.ts';
import type { Decision, Grants } from '../base/rights/grants.ts';
import { refusalText } from '../base/rights/refusal-text.ts';
import { Rights } from '../base/rights/rights.ts';
import type { Subject } from '../base/rights/subject.ts';
import type { RightsRule } from '../base/settings/rights.ts';
import { parseShare, topicFilterFault, topicNameFault } from '../base/topic.ts';
import { qosOf } from './broker-options.ts';
import type { CommandIo } from './command.ts';
import { defineOptions, helpText, parseOptions } from './options.ts';

const spec = defineOptions({
  usage: 'trunkline explain <device> <action> <topic> [options]',
  summary: 'Tell whether a device may publish or subscribe, and which rule says so.',
  positionals: { names: ['device', 'action', 'topic'] },
  options: {
    config: {
      kind: 'text',
      placeholder: 'FILE',
      about: 'TOML file with the rules; also TRUNKLINE_CONFIG.',
    },
    client: { kind: 'text', about: 'Client identifier, where it is not the name of the device.' },
    username: { kind: 'text', about: 'User name, where it is not the name of the device.' },
    tenant: { kind: 'text', default: '', about: 'Its tenant.' },
    role: { kind: 'text', default: '', placeholder: 'A,B', about: 'Roles of its credential.' },
    label: { kind: 'text', default: '', placeholder: 'A=1,B=2', about: 'Its labels.' },
    qos: { kind: 'text', choices: ['0', '1', '2'], default: '0', about: 'QoS.' },
    retain: { kind: 'flag', about: 'To be retained.' },
    will: { kind: 'flag', about: 'As a will.' },
    json: { kind: 'flag', about: 'Print JSON.' },
  },
  notes: [
    'The action is publish or subscribe. The exit code is 0 when it is allowed and 2 when it is not.',
    'Roles that the configuration gives are added to those of --role.',
  ],
});

const refusedCode = 2;

type Values = ReturnType<typeof parseOptions<typeof spec.options>>['values'];

/** Throws `TrunklineError`, as every command does. */
export async function explainCommand(args: string[], io: CommandIo): Promise<number> {
  const { help, values, positionals } = parseOptions(spec, args);
  if (help) {
    io.stdout.write(helpText(spec));
    return 0;
  }
  const [device = '', action = '', topic = ''] = positionals;
  const file = values.config ?? io.env['TRUNKLINE_CONFIG'];
  const settings = loadConfig({ file, env: io.env, flags: {} }).rights;
  const rights = new Rights(settings);
  const subject = subjectFrom(device, values);
  const decision = decide(rights.of(subject), { action, topic, values });
  const rule = settings.rule.find(({ name }) => name === decision.rule);
  const roles = [...rights.rolesOf(subject)];
  const found = { device, action, topic, ...decision, roles };
  io.stdout.write(values.json ? `${JSON.stringify(found, null, 2)}\n` : textOf(found, rule));
  return decision.isAllowed ? 0 : refusedCode;
}

function subjectFrom(device: string, values: Values): Subject {
  const { client, username, tenant, role, label } = values;
  return {
    device,
    clientId: client ?? device,
    username: username ?? device,
    tenant,
    roles: partsOf(role),
    labels: new Map(partsOf(label).map(labelOf)),
  };
}

function partsOf(text: string): string[] {
  return text.split(',').filter((part) => part !== '');
}

function labelOf(text: string): [string, string] {
  const at = text.indexOf('=');
  if (at > 0) return [text.slice(0, at), text.slice(at + 1)];
  throw new TrunklineError(
    'config-invalid',
    `The label is ${JSON.stringify(text)}; give NAME=VALUE.`,
  );
}

function decide(
  grants: Grants,
  {
    action,
    topic,
    values,
  }: { readonly action: string; readonly topic: string; readonly values: Values },
): Decision {
  const qos: Qos = qosOf(values.qos);
  const { retain, will } = values;
  if (action === 'publish') {
    refuseUnsound(topic, topicNameFault(topic));
    return grants.publish(topic, { qos, retain, will });
  }
  if (action !== 'subscribe') {
    const given = JSON.stringify(action);
    throw new TrunklineError(
      'config-invalid',
      `The action is ${given}; give publish or subscribe.`,
    );
  }
  const share = parseShare(topic);
  const filter = share === null || typeof share === 'string' ? topic : share.filter;
  refuseUnsound(topic, typeof share === 'string' ? share : topicFilterFault(topic));
  return grants.subscribe(filter, qos);
}

function refuseUnsound(topic: string, fault: string | null): void {
  if (fault === null) return;
  throw new TrunklineError('topic-invalid', `${JSON.stringify(topic)} ${fault}.`);
}

function textOf(
  found: Decision & { device: string; action: string; topic: string; roles: readonly string[] },
  rule: RightsRule | undefined,
): string {
  const { device, action, topic, isAllowed, reason, qos, roles } = found;
  const lines = [`${device} may ${isAllowed ? '' : 'not '}${action} ${topic}`];
  if (reason === 'no-rules') lines.push('  because no rules are configured');
  else if (!isAllowed) lines.push(`  because it ${refusalText(found)}`);
  else if (action === 'subscribe') lines.push(`  at QoS ${qos}`);
  if (rule !== undefined) {
    lines.push(
      `  rule   ${rule.name}: ${rule.effect} ${rule.action} ${rule.filter}${manner(rule)}`,
    );
  }
  lines.push(`  roles  ${roles.length === 0 ? 'none' : roles.join(', ')}`);
  return `${lines.join('\n')}\n`;
}

function manner({ effect, qos = 2, retain, will }: RightsRule): string {
  const kinds = [retain ? 'retained' : '', will ? 'wills' : ''].filter((kind) => kind !== '');
  if (effect === 'deny') return kinds.length === 0 ? '' : `, only ${kinds.join(' and ')}`;
  const also = kinds.map((kind) => `, also ${kind}`).join('');
  return `, QoS ${qos} at most${also}`;
}

/** The rules over HTTP: looked at with GET, changed with POST. */
import { parseRules } from '../../base/rules/rule.ts';
import type { RulesDesk } from '../rules/rules-desk.ts';
import { jsonReply, type Reply } from './reply.ts';
import { fieldsOf } from './request-body.ts';
import { parametersOf } from './request-target.ts';
import { rulesChangeJson, ruleVersionJson } from './rules-json.ts';

export function rulesReply(query: string, desk: RulesDesk): Reply {
  const name = parametersOf(query, ['name']).get('name') ?? '';
  return jsonReply({ rules: ruleVersionJson(desk.get(name)), names: desk.names() });
}

export function ruleVersionsReply(query: string, desk: RulesDesk): Reply {
  const name = parametersOf(query, ['name']).get('name') ?? '';
  return jsonReply({ versions: desk.versions(name).map(ruleVersionJson) });
}

const common = {
  name: 'text',
  expected_version: 'number',
  dry_run: 'flag',
  sample_topics: 'texts',
} as const;

export async function setRulesReply(
  body: Readonly<Record<string, unknown>>,
  desk: RulesDesk,
): Promise<Reply> {
  const fields = fieldsOf(body, { ...common, comment: 'text', remove: 'flag', rules: 'any' });
  const change = await desk.set({
    name: fields.name,
    rules: fields.remove ? [] : parseRules({ rules: fields.rules ?? null }),
    expectedVersion: fields.expected_version,
    dryRun: fields.dry_run,
    comment: fields.comment,
    remove: fields.remove,
    sampleTopics: fields.sample_topics,
  });
  return jsonReply(rulesChangeJson(change));
}

export async function rollbackRulesReply(
  body: Readonly<Record<string, unknown>>,
  desk: RulesDesk,
): Promise<Reply> {
  const fields = fieldsOf(body, { ...common, version: 'number' });
  const change = await desk.rollback({
    name: fields.name,
    version: fields.version,
    expectedVersion: fields.expected_version,
    dryRun: fields.dry_run,
    sampleTopics: fields.sample_topics,
  });
  return jsonReply(rulesChangeJson(change));
}

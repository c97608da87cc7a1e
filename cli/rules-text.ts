/** Rules and their changes, to be read on a terminal. */
import { stringify } from 'smol-toml';
import type {
  EdgeRulesChangeJson,
  RulesChangeJson,
  RuleVersionJson,
  TopicPlaceJson,
} from '../core/http/rules-json.ts';

/** A file that `rules set` reads. */
export function rulesText(rules: RuleVersionJson, names: readonly string[]): string {
  const lines = [`# ${headOf(rules)}`];
  const others = names.filter((name) => name !== rules.name);
  if (others.length > 0) lines.push(`# Rules of their own have also: ${others.join(', ')}.`);
  if (rules.rules.length === 0) return `${lines.join('\n')}\nrules = []\n`;
  return `${lines.join('\n')}\n${stringify({ rules: rules.rules })}\n`;
}

export function historyText(versions: readonly RuleVersionJson[]): string {
  if (versions.length === 0) return 'There never were any rules.\n';
  return versions
    .map((rules, index) => `${headOf(rules)}${index === 0 ? ' In force.' : ''}\n`)
    .join('');
}

export function changeText(change: RulesChangeJson): string {
  const head = change.dry_run
    ? `Nothing was changed; version ${change.version} is in force.`
    : `Version ${change.version} is in force.`;
  if (change.edges.length === 0) return `${head} No edge that follows these rules is attached.\n`;
  const edges = change.edges.map((edge) => edgeLines(edge, change.dry_run));
  return `${[head, ...edges.flat()].join('\n')}\n`;
}

function headOf({
  name,
  version,
  changed_at_ms,
  comment,
  removed,
  rules,
}: RuleVersionJson): string {
  if (version === 0) return `There never were rules of the name "${name}".`;
  const when = new Date(changed_at_ms).toISOString();
  const what = removed ? 'removed' : `${rules.length} rule${rules.length === 1 ? '' : 's'}`;
  const why = comment === '' ? '' : ` (${comment})`;
  return `Version ${version} of "${name}", ${when}: ${what}${why}.`;
}

function edgeLines(edge: EdgeRulesChangeJson, isDryRun: boolean): string[] {
  const { edge_id, acknowledged, error, filters, filters_changed, topics } = edge;
  const state = acknowledged ? 'in force' : `NOT in force: ${error}`;
  const moved = `${filters_changed} of its filters change place`;
  const lines = [isDryRun ? `${edge_id}: ${moved}` : `${edge_id}: ${state}; ${moved}`];
  for (const { filter, before, after } of filters) {
    lines.push(`  ${filter}: ${namesOf(before)} -> ${namesOf(after)}`);
  }
  if (filters.length < filters_changed) lines.push(`  … ${filters_changed - filters.length} more`);
  for (const { topic, direction, before, after } of topics) {
    const [was, is] = [placeOf(before), placeOf(after)];
    lines.push(`  ${direction} ${topic}: ${was === is ? `stays: ${is}` : `${was} -> ${is}`}`);
  }
  return lines;
}

function namesOf(names: readonly string[]): string {
  return names.length === 0 ? 'not asked for' : names.join(', ');
}

function placeOf({ goes, topic, maximum_qos, priority, rule }: TopicPlaceJson): string {
  const by = rule === 0 ? 'no rule' : `rule ${rule}`;
  if (!goes) return `does not go (${by})`;
  const qos = maximum_qos < 2 ? `, QoS ${maximum_qos} at most` : '';
  return `${topic} (${by}${qos}${priority === 'normal' ? '' : `, ${priority}`})`;
}

/**
 * Rules of the trunk: what goes between an edge and the core, under which name, at which QoS at most,
 * and how urgently. This is their form in files and in JSON, with the checks that every set passes.
 */
import { TrunklineError } from '../errors.ts';
import { rulesMax } from '../limits.ts';
import type { Qos } from '../publication.ts';
import { topicFilterFault, topicNameFault } from '../topic.ts';

export const directions = ['up', 'down'] as const;
export type Direction = (typeof directions)[number];

export const priorities = ['high', 'normal', 'bulk'] as const;
export type Priority = (typeof priorities)[number];

export interface Rule {
  readonly direction: Direction;
  /** As topics are called at the edge. */
  readonly filter: string;
  /** In front of the topic at the core; empty for none. */
  readonly prefix: string;
  readonly maximumQos: Qos;
  /** Upwards. */
  readonly priority: Priority;
  /** What matches does not go. */
  readonly deny: boolean;
}

const fields = new Set(['direction', 'filter', 'prefix', 'maximum_qos', 'priority', 'deny']);

/** Names of a rule's fields as in files, for JSON. */
export function ruleJson(rule: Rule): Record<string, string | number | boolean> {
  const { direction, filter, prefix, maximumQos, priority, deny } = rule;
  if (deny) return { direction, filter, deny };
  const json = { direction, filter, prefix, maximum_qos: maximumQos };
  return direction === 'up' ? { ...json, priority } : json;
}

/**
 * `given` is what a file or a request says: an object with a list `rules`. Throws `rules-invalid`, in
 * words that name the rule, the field, its value and the remedy.
 */
export function parseRules(given: unknown): Rule[] {
  if (!isTable(given)) throw invalid('The rules must be an object with a list "rules".');
  for (const name of Object.keys(given)) {
    if (name !== 'rules') {
      throw invalid(`There is ${quoted(name)} beside "rules"; give the list "rules" alone.`);
    }
  }
  const list = given['rules'];
  if (!Array.isArray(list)) {
    throw invalid(`"rules" is ${quoted(list)}; give a list, in TOML one [[rules]] for each.`);
  }
  return checkRules(list.map((rule, index) => parseRule(rule, index + 1)));
}

/** The checks that do not depend on the form in which the rules came. */
export function checkRules(rules: readonly Rule[]): Rule[] {
  if (rules.length > rulesMax) {
    throw invalid(`There are ${rules.length} rules; give ${rulesMax} at most.`);
  }
  for (const [index, rule] of rules.entries()) checkRule(rule, index + 1);
  return [...rules];
}

function parseRule(given: unknown, number: number): Rule {
  if (!isTable(given)) throw fault(number, `is ${quoted(given)}; give a table of its fields`);
  for (const name of Object.keys(given)) {
    if (fields.has(name)) continue;
    throw fault(number, `has ${quoted(name)}; there are ${[...fields].join(', ')}`);
  }
  const { direction, filter, prefix, maximum_qos: maximumQos, priority, deny } = given;
  const rule = {
    direction: oneOf(number, { field: 'direction', value: direction, among: directions }),
    filter: text(number, 'filter', filter),
    prefix: text(number, 'prefix', prefix ?? ''),
    maximumQos: oneOf(number, { field: 'maximum_qos', value: maximumQos ?? 2, among: [0, 1, 2] }),
    priority: oneOf(number, { field: 'priority', value: priority ?? 'normal', among: priorities }),
    deny: oneOf(number, { field: 'deny', value: deny ?? false, among: [false, true] }),
  } as Rule;
  for (const name of ['prefix', 'maximum_qos', 'priority']) {
    if (rule.deny && given[name] !== undefined) {
      throw fault(
        number,
        `denies, so its ${name} ${quoted(given[name])} means nothing; leave it out`,
      );
    }
  }
  return rule;
}

function checkRule({ direction, filter, prefix, priority }: Rule, number: number): void {
  const filterFault = topicFilterFault(filter);
  if (filterFault !== null) {
    throw fault(
      number,
      `has the filter ${quoted(filter)}, which ${filterFault}; write a topic filter`,
    );
  }
  if (filter.startsWith('$')) {
    const remedy = 'topics that begin with $ stay at their edge, and rules say nothing of them';
    throw fault(number, `has the filter ${quoted(filter)}; ${remedy}`);
  }
  if (direction === 'down' && priority !== 'normal') {
    throw fault(number, `has the priority ${quoted(priority)}; it is for direction "up" alone`);
  }
  if (prefix === '') return;
  const prefixFault = topicNameFault(prefix);
  if (prefixFault !== null || prefix.startsWith('$')) {
    const reason = prefixFault ?? 'begins with $';
    throw fault(
      number,
      `has the prefix ${quoted(prefix)}, which ${reason}; write "site-1/" or the like`,
    );
  }
  if (!prefix.endsWith('/')) {
    throw fault(
      number,
      `has the prefix ${quoted(prefix)}; end it with a slash: ${quoted(`${prefix}/`)}`,
    );
  }
}

function oneOf<T>(
  number: number,
  given: { readonly field: string; readonly value: unknown; readonly among: readonly T[] },
): T {
  const { field, value, among } = given;
  const found = among.find((one) => one === value);
  if (found !== undefined) return found;
  const choices = among.map((one) => JSON.stringify(one)).join(', ');
  if (value === undefined) throw fault(number, `has no ${field}; give one of ${choices}`);
  throw fault(number, `has the ${field} ${quoted(value)}; give one of ${choices}`);
}

function text(number: number, field: string, value: unknown): string {
  if (typeof value === 'string') return value;
  if (value === undefined) throw fault(number, `has no ${field}; give a text`);
  throw fault(number, `has the ${field} ${quoted(value)}; give a text`);
}

function isTable(given: unknown): given is Record<string, unknown> {
  return typeof given === 'object' && given !== null && !Array.isArray(given);
}

function quoted(value: unknown): string {
  const json = JSON.stringify(value) ?? String(value);
  return json.length > 128 ? `${json.slice(0, 128)}…` : json;
}

function fault(number: number, what: string): TrunklineError {
  return invalid(`Rule ${number} ${what}.`);
}

function invalid(message: string): TrunklineError {
  return new TrunklineError('rules-invalid', message);
}

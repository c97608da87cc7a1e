/**
 * What one subject may do: the rules that are about it, with its values in the place of their
 * placeholders. Immutable: when rules or the subject change, there are other grants.
 */
import type { Qos } from '../publication.ts';
import { coveredBy } from './cover.ts';
import { filterLevels, type Level, matchesLevels, meets } from './pattern.ts';

export interface GrantedRule {
  readonly name: string;
  readonly levels: readonly Level[];
  /** Of an allowance, the highest. */
  readonly qos: Qos;
  /** Of an allowance: as well. Of a denial: only. */
  readonly retain: boolean;
  readonly will: boolean;
}

/** How something is published. */
export interface Manner {
  readonly qos: Qos;
  readonly retain: boolean;
  readonly will: boolean;
}

/** Why, in stable words. */
export type DecisionReason =
  | 'no-rules'
  | 'allowed'
  | 'denied'
  | 'reserved'
  | 'no-rule'
  | 'qos'
  | 'retain'
  | 'will';

export interface Decision {
  readonly isAllowed: boolean;
  readonly reason: DecisionReason;
  /** The rule that decided; empty for none. */
  readonly rule: string;
  /** Of a subscription: the QoS that is granted. */
  readonly qos: Qos;
}

/** The highest QoS of each kind of publication to a topic; -1 for none. */
export interface TopicRights {
  readonly plain: number;
  readonly retained: number;
}

interface GrantedRules {
  readonly allow: readonly GrantedRule[];
  readonly deny: readonly GrantedRule[];
}

export interface SubjectRules {
  readonly publish: GrantedRules;
  readonly subscribe: GrantedRules;
}

/** Topics remembered for one subject; most publish to few. */
const rememberedMax = 32;

const refused = { isAllowed: false, rule: '', qos: 0 } as const;

export class Grants {
  /** Null where no rules are configured: all topics but reserved ones. */
  readonly #rules: SubjectRules | null;
  #remembered: Map<string, TopicRights> | null = null;

  constructor(rules: SubjectRules | null) {
    this.#rules = rules;
  }

  /** The same without the rule that decided, and remembered. */
  topicRights(topic: string): TopicRights {
    const known = this.#remembered?.get(topic);
    if (known !== undefined) return known;
    const found = {
      plain: this.#qosMax(topic, false),
      retained: this.#qosMax(topic, true),
    };
    this.#remembered ??= new Map();
    if (this.#remembered.size >= rememberedMax) this.#remembered.clear();
    this.#remembered.set(topic, found);
    return found;
  }

  publish(topic: string, manner: Manner): Decision {
    // Names that begin with `$` belong to the server.
    if (topic.startsWith('$')) return { ...refused, reason: 'reserved' };
    if (this.#rules === null) return { isAllowed: true, reason: 'no-rules', rule: '', qos: 2 };
    const { allow, deny } = this.#rules.publish;
    const levels = topic.split('/');
    for (const rule of deny) {
      if (isDenied(rule, manner) && matchesLevels(rule.levels, levels)) {
        return { ...refused, reason: 'denied', rule: rule.name };
      }
    }
    let nearest: Decision = { ...refused, reason: 'no-rule' };
    for (const rule of allow) {
      if (!matchesLevels(rule.levels, levels)) continue;
      const lack = lackOf(rule, manner);
      if (lack === null) {
        return { isAllowed: true, reason: 'allowed', rule: rule.name, qos: manner.qos };
      }
      nearest = { ...refused, reason: lack, rule: rule.name };
    }
    return nearest;
  }

  /** `filter` is that of a shared subscription without its group. The highest QoS up to the one that
   * is asked for at which all that the filter matches is allowed, and nothing of it is denied. */
  subscribe(filter: string, qosAsked: Qos): Decision {
    // Reading `$SYS` is harmless and usual; there are no other topics of this kind.
    if (filter.startsWith('$') && !filter.startsWith('$SYS/')) {
      return { ...refused, reason: 'reserved' };
    }
    if (this.#rules === null)
      return { isAllowed: true, reason: 'no-rules', rule: '', qos: qosAsked };
    const { allow, deny } = this.#rules.subscribe;
    const levels = filterLevels(filter);
    const denial = deny.find((rule) => meets(rule.levels, levels));
    if (denial !== undefined) return { ...refused, reason: 'denied', rule: denial.name };
    for (let qos = qosAsked as number; qos >= 0; qos--) {
      const rule = coveredBy(
        levels,
        allow.filter((one) => one.qos >= qos),
      );
      if (rule !== null) {
        return { isAllowed: true, reason: 'allowed', rule: rule.name, qos: qos as Qos };
      }
    }
    return { ...refused, reason: 'no-rule' };
  }

  /** Whether a message with this topic, which was meant for the subject, may still reach it. */
  receives(topic: string): boolean {
    if (this.#rules === null) return true;
    const { allow, deny } = this.#rules.subscribe;
    const levels = topic.split('/');
    if (deny.some((rule) => matchesLevels(rule.levels, levels))) return false;
    return allow.some((rule) => matchesLevels(rule.levels, levels));
  }

  #qosMax(topic: string, retain: boolean): number {
    for (const qos of [2, 1, 0] as const) {
      if (this.publish(topic, { qos, retain, will: false }).isAllowed) return qos;
    }
    return -1;
  }
}

/** Everything, or only what it names. */
function isDenied(rule: GrantedRule, { retain, will }: Manner): boolean {
  if (!rule.retain && !rule.will) return true;
  return (rule.retain && retain) || (rule.will && will);
}

function lackOf(
  rule: GrantedRule,
  { qos, retain, will }: Manner,
): 'qos' | 'retain' | 'will' | null {
  if (qos > rule.qos) return 'qos';
  if (retain && !rule.retain) return 'retain';
  return will && !rule.will ? 'will' : null;
}

/** Where no rules are configured. */
export const openGrants = new Grants(null);

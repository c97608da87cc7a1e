/** Sets of rules on the wire, and as the rest of the program knows them. */
import { TrunklineError } from '../base/errors.ts';
import type { Qos } from '../base/publication.ts';
import { checkRules, type Direction, type Priority, type Rule } from '../base/rules/rule.ts';
import {
  Rule_Direction,
  Rule_Priority,
  type RuleSet,
  type Rule as WireRule,
} from './gen/trunkline/v1/trunk.ts';

const directions = new Map<Rule_Direction, Direction>([
  [Rule_Direction.UP, 'up'],
  [Rule_Direction.DOWN, 'down'],
]);

const priorities = new Map<Rule_Priority, Priority>([
  [Rule_Priority.UNSPECIFIED, 'normal'],
  [Rule_Priority.HIGH, 'high'],
  [Rule_Priority.NORMAL, 'normal'],
  [Rule_Priority.BULK, 'bulk'],
]);

const wirePriorities: Readonly<Record<Priority, Rule_Priority>> = {
  high: Rule_Priority.HIGH,
  normal: Rule_Priority.NORMAL,
  bulk: Rule_Priority.BULK,
};

/** Throws `rules-invalid`. */
export function rulesOf(rules: readonly WireRule[]): Rule[] {
  return checkRules(rules.map((rule, index) => ruleOf(rule, index + 1)));
}

export function ruleSetOf(version: number, rules: readonly Rule[]): RuleSet {
  return { version, rules: rules.map(wireRule) };
}

export function wirePriority(priority: Priority): Rule_Priority {
  return wirePriorities[priority];
}

export function wireRule(rule: Rule): WireRule {
  const { filter, prefix, maximumQos, deny } = rule;
  const isUp = rule.direction === 'up';
  const direction = isUp ? Rule_Direction.UP : Rule_Direction.DOWN;
  return { direction, filter, prefix, maximumQos, priority: wirePriorities[rule.priority], deny };
}

function ruleOf(wire: WireRule, number: number): Rule {
  const { filter, prefix, maximumQos, deny } = wire;
  const direction = directions.get(wire.direction);
  if (direction === undefined) {
    throw invalid(number, `direction is ${wire.direction}; give DIRECTION_UP or DIRECTION_DOWN`);
  }
  const priority = priorities.get(wire.priority);
  if (priority === undefined) {
    throw invalid(number, `priority is ${wire.priority}; give one of the enum's`);
  }
  if (maximumQos > 2) throw invalid(number, `maximum_qos is ${maximumQos}; give 0, 1 or 2`);
  return { direction, filter, prefix, maximumQos: maximumQos as Qos, priority, deny };
}

function invalid(number: number, what: string): TrunklineError {
  return new TrunklineError('rules-invalid', `Rule ${number}: ${what}.`);
}

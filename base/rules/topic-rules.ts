/**
 * A set of rules, ready to be asked. Of each direction the first rule whose filter matches decides. A
 * direction without any rule is open; in one that has some, a topic that none matches does not go.
 * Topics that begin with $ are beyond rules: they pass as if there were none.
 *
 * Answers are kept for the topics last asked for, because the message path asks for each publication.
 */

import type { Qos } from '../publication.ts';
import { levelsMatch, topicFilterFault, topicNameFault } from '../topic.ts';
import { coversFilter, intersectFilters } from '../topic-filters.ts';
import type { Direction, Priority, Rule } from './rule.ts';

/** Topics of one direction that are remembered; past it the older half goes. */
const rememberedMax = 8_192;

export interface Passage {
  /** Upwards what the core calls it, downwards what the edge calls it. */
  readonly topic: string;
  readonly maximumQos: Qos;
  readonly priority: Priority;
}

interface CompiledRule extends Rule {
  readonly levels: readonly string[];
}

export class TopicRules {
  /** Rules in their order, of both directions. */
  readonly rules: readonly Rule[];
  /** Whether there is anything to ask for in a direction. */
  readonly hasUp: boolean;
  readonly hasDown: boolean;
  readonly #up: readonly CompiledRule[];
  readonly #down: readonly CompiledRule[];
  readonly #upAnswers = new Answers();
  readonly #downAnswers = new Answers();

  /** The rules have passed `checkRules`. */
  constructor(rules: readonly Rule[]) {
    this.rules = rules;
    this.#up = compiled(rules, 'up');
    this.#down = compiled(rules, 'down');
    this.hasUp = this.#up.length > 0;
    this.hasDown = this.#down.length > 0;
  }

  /** Of a topic of the edge; null when it does not go up. */
  up(topic: string): Passage | null {
    if (!this.hasUp || topic.startsWith('$')) return { topic, maximumQos: 2, priority: 'normal' };
    return this.#upAnswers.of(topic, () => {
      const rule = firstMatch(this.#up, topic);
      if (rule === null || rule.deny) return null;
      const { prefix, maximumQos, priority } = rule;
      const name = prefix + topic;
      // Too long, with the prefix.
      if (prefix !== '' && topicNameFault(name) !== null) return null;
      return { topic: name, maximumQos, priority };
    });
  }

  /** Of a topic of the core; null when it does not come down. Where several prefixes fit, the first
   * rule counts. */
  down(topic: string): Passage | null {
    if (!this.hasDown || topic.startsWith('$')) return { topic, maximumQos: 2, priority: 'normal' };
    return this.#downAnswers.of(topic, () => {
      for (const rule of this.#down) {
        if (rule.deny || !topic.startsWith(rule.prefix)) continue;
        const name = topic.slice(rule.prefix.length);
        if (name !== '' && !name.startsWith('$') && firstMatch(this.#down, name) === rule) {
          return { topic: name, maximumQos: rule.maximumQos, priority: 'normal' };
        }
      }
      return null;
    });
  }

  /** The rule that decides on a topic of the edge, counted from 1; 0 for none. */
  ruleOf(direction: Direction, topic: string): number {
    const rule = firstMatch(direction === 'up' ? this.#up : this.#down, topic);
    return rule === null
      ? 0
      : this.rules.findIndex(({ filter, direction: way }) => {
          return way === direction && filter === rule.filter;
        }) + 1;
  }

  /** What to ask the core for, so that all that may come down for a filter of the edge does. */
  interest(filter: string): readonly string[] {
    if (!this.hasDown || filter.startsWith('$')) return [filter];
    const wanted = new Set<string>();
    for (const [index, rule] of this.#down.entries()) {
      const both = rule.deny ? null : intersectFilters(filter, rule.filter);
      if (both === null) continue;
      const isTaken = this.#down
        .slice(0, index)
        .some((before) => coversFilter(before.filter, both));
      const name = rule.prefix + both;
      if (!isTaken && (rule.prefix === '' || topicFilterFault(name) === null)) wanted.add(name);
    }
    return [...wanted];
  }

  /** The core's name for a topic of the edge as it would come down; null when it would not. */
  above(topic: string): string | null {
    if (!this.hasDown || topic.startsWith('$')) return topic;
    const rule = firstMatch(this.#down, topic);
    if (rule === null || rule.deny) return null;
    const name = rule.prefix + topic;
    return this.down(name)?.topic === topic ? name : null;
  }
}

/** Null stands for a topic that does not go. */
class Answers {
  #recent = new Map<string, Passage | null>();
  #older = new Map<string, Passage | null>();

  of(topic: string, find: () => Passage | null): Passage | null {
    const known = this.#recent.get(topic);
    if (known !== undefined) return known;
    const answer = this.#older.get(topic) ?? find();
    this.#recent.set(topic, answer);
    if (this.#recent.size > rememberedMax / 2) {
      this.#older = this.#recent;
      this.#recent = new Map();
    }
    return answer;
  }
}

function compiled(rules: readonly Rule[], direction: Direction): CompiledRule[] {
  return rules
    .filter((rule) => rule.direction === direction)
    .map((rule) => ({ ...rule, levels: rule.filter.split('/') }));
}

function firstMatch(rules: readonly CompiledRule[], topic: string): CompiledRule | null {
  const levels = topic.split('/');
  return rules.find((rule) => levelsMatch(rule.levels, levels)) ?? null;
}

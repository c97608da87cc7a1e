/** What a change of the rules would do to one edge, as far as the core can tell before it is made. */
import type { Rule } from '../../base/rules/rule.ts';
import { type Passage, TopicRules } from '../../base/rules/topic-rules.ts';
import { topicNameFault } from '../../base/topic.ts';
import type { FilterChange, TopicChange, TopicPlace } from '../../proto/gen/trunkline/v1/fleet.ts';
import { Rule_Direction, Rule_Priority } from '../../proto/gen/trunkline/v1/trunk.ts';
import { wirePriority } from '../../proto/rule-set.ts';

/** Changed filters that are named; the rest is counted. */
const filtersMax = 100;

export interface RulesDiff {
  readonly filters: FilterChange[];
  readonly filtersChanged: number;
  readonly topics: TopicChange[];
}

/** `announced`: what the edge asks the core for now, by the rules before. What these kept from being
 * asked for is not known here. */
export function diffRules(
  change: { readonly before: readonly Rule[]; readonly after: readonly Rule[] },
  announced: Iterable<string>,
  sampleTopics: readonly string[],
): RulesDiff {
  const before = new TopicRules(change.before);
  const after = new TopicRules(change.after);
  const filters: FilterChange[] = [];
  let filtersChanged = 0;
  for (const filter of namesHere(before, announced)) {
    const [was, is] = [before.interest(filter), after.interest(filter)];
    if (was.length === is.length && was.every((name) => is.includes(name))) continue;
    filtersChanged++;
    if (filters.length < filtersMax) filters.push({ filter, before: [...was], after: [...is] });
  }
  return { filters, filtersChanged, topics: topicChanges(before, after, sampleTopics) };
}

/** The filters as the edge calls them. */
function namesHere(rules: TopicRules, announced: Iterable<string>): Set<string> {
  const prefixes = new Set(['']);
  for (const rule of rules.rules) if (rule.direction === 'down') prefixes.add(rule.prefix);
  const names = new Set<string>();
  for (const name of announced) {
    for (const prefix of prefixes) {
      const filter = name.slice(prefix.length);
      if (!name.startsWith(prefix) || filter === '') continue;
      if (rules.interest(filter).includes(name)) names.add(filter);
    }
  }
  return names;
}

function topicChanges(
  before: TopicRules,
  after: TopicRules,
  topics: readonly string[],
): TopicChange[] {
  return topics
    .filter((topic) => topicNameFault(topic) === null)
    .flatMap((topic) => [
      {
        topic,
        direction: Rule_Direction.UP,
        before: placeOf(before.up(topic), before.ruleOf('up', topic)),
        after: placeOf(after.up(topic), after.ruleOf('up', topic)),
      },
      {
        topic,
        direction: Rule_Direction.DOWN,
        before: placeOf(downOf(before, topic), before.ruleOf('down', topic)),
        after: placeOf(downOf(after, topic), after.ruleOf('down', topic)),
      },
    ]);
}

/** For a topic of the edge, unlike `TopicRules.down`; the name is the core's. */
function downOf(rules: TopicRules, topic: string): Passage | null {
  const above = rules.above(topic);
  const passage = above === null ? null : rules.down(above);
  return above === null || passage === null ? null : { ...passage, topic: above };
}

function placeOf(passage: Passage | null, rule: number): TopicPlace {
  if (passage === null) {
    return { rule, goes: false, topic: '', maximumQos: 0, priority: Rule_Priority.UNSPECIFIED };
  }
  const { topic, maximumQos, priority } = passage;
  return { rule, goes: true, topic, maximumQos, priority: wirePriority(priority) };
}

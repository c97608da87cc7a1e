/**
 * The rules in force at this edge: those that a core sent last, kept on disk, and what follows from a
 * change of them. Without any, everything goes as it is and nothing is asked.
 */
import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { Logger } from '../../base/log.ts';
import type { CounterFamily, Metrics } from '../../base/metrics.ts';
import { type Publication, voided } from '../../base/publication.ts';
import type { Direction } from '../../base/rules/rule.ts';
import { type Passage, TopicRules } from '../../base/rules/topic-rules.ts';
import type { RuleSet } from '../../proto/gen/trunkline/v1/trunk.ts';
import { rulesOf } from '../../proto/rule-set.ts';
import type { Sequenced } from '../../proto/wire.ts';
import { createLaneMap, type LaneMap, type Priorities } from '../lane-map.ts';
import { type KeptRules, readRules, writeRules } from './rules-file.ts';

export interface EdgeRulesParts {
  readonly log: Logger;
  readonly metrics: Metrics;
}

export class EdgeRules {
  readonly #log: Logger;
  readonly #file: string | null;
  readonly #denied: CounterFamily;
  readonly #listeners: (() => void)[] = [];
  #version: number;
  #topics: TopicRules;
  /** Changes are taken one after the other. */
  #changing: Promise<void> = Promise.resolve();

  /** Without a file, what a core sends is forgotten with the process. */
  constructor(parts: EdgeRulesParts, kept: KeptRules | null = null, file: string | null = null) {
    this.#log = parts.log;
    this.#file = file;
    this.#version = kept?.version ?? 0;
    this.#topics = new TopicRules(kept?.rules ?? []);
    parts.metrics.gauge(
      'trunkline_rules_version',
      'Version of the rules in force; 0 for none.',
      () => this.#version,
    );
    this.#denied = parts.metrics.counters(
      'trunkline_rules_denied_total',
      'Publications that rules kept from crossing the trunk, by direction.',
      'direction',
    );
  }

  /** Throws `rules-invalid` when what is on disk cannot be read. */
  static async open(parts: EdgeRulesParts, file: string): Promise<EdgeRules> {
    const kept = await readRules(file);
    if (kept !== null) {
      parts.log.info({ version: kept.version, rules: kept.rules.length }, 'rules in force');
    }
    return new EdgeRules(parts, kept, file);
  }

  get version(): number {
    return this.#version;
  }

  /** Replaced as a whole by a change. */
  get topics(): TopicRules {
    return this.#topics;
  }

  /** The lanes that go by these rules, of so many plain ones. */
  laneMap(lanes: number): LaneMap {
    const topics = this.#topics;
    const { id, laneCount, laneFor } = createLaneMap(lanes, this.#priorities);
    if (!topics.hasUp) return { id, laneCount, laneFor };
    const goesUp = (topic: string, count: number) => {
      const isFree = topics.up(topic) !== null;
      if (!isFree) this.#deny('up', count);
      return isFree;
    };
    return { id, laneCount, laneFor, goesUp };
  }

  /** Null when every topic is of normal priority. */
  get #priorities(): Priorities | null {
    const topics = this.#topics;
    const up = topics.rules.filter((rule) => rule.direction === 'up');
    if (up.every((rule) => rule.priority === 'normal')) return null;
    const text = JSON.stringify(up.map((rule) => [rule.filter, rule.priority, rule.deny]));
    const id = createHash('sha256').update(text).digest('hex').slice(0, 16);
    return { id, of: (topic) => topics.up(topic)?.priority ?? 'normal' };
  }

  /** Called after each change, in the same turn. The first one that throws undoes it. */
  onChanged(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** Resolves when they are on disk and in force. Throws what is wrong with them; the earlier ones
   * stay in force then. */
  apply(set: RuleSet): Promise<void> {
    const turn = this.#changing.then(() => this.#apply(set));
    this.#changing = turn.catch(() => {});
    return turn;
  }

  /** What this edge sends, as it goes up now. What has a sequence keeps it. */
  outgoing(items: readonly Sequenced[]): readonly Sequenced[] {
    const topics = this.#topics;
    if (!topics.hasUp) return items;
    const outgoing: Sequenced[] = [];
    for (const item of items) {
      const { publication, sequence } = item;
      const passage = topics.up(publication.topic);
      if (passage !== null) outgoing.push(withPublication(item, renamed(publication, passage)));
      else {
        this.#deny('up');
        if (sequence > 0) outgoing.push(withPublication(item, voided(publication)));
      }
    }
    return outgoing;
  }

  /** What came from the core, as it is called here, without what must not come in. */
  incoming(items: readonly Sequenced[]): readonly Sequenced[] {
    const topics = this.#topics;
    if (!topics.hasDown) return items;
    const incoming: Sequenced[] = [];
    for (const item of items) {
      const passage = topics.down(item.publication.topic);
      if (passage !== null)
        incoming.push(withPublication(item, renamed(item.publication, passage)));
      else this.#deny('down');
    }
    return incoming;
  }

  #deny(direction: Direction, count = 1): void {
    this.#denied.by(direction).add(count);
  }

  async #apply(set: RuleSet): Promise<void> {
    const rules = rulesOf(set.rules);
    const { version } = set;
    if (version === this.#version && isDeepStrictEqual(rules, this.#topics.rules)) return;
    if (this.#file !== null) await writeRules(this.#file, { version, rules });
    const before = { version: this.#version, topics: this.#topics };
    this.#version = version;
    this.#topics = new TopicRules(rules);
    try {
      for (const listener of this.#listeners) listener();
    } catch (error) {
      this.#version = before.version;
      this.#topics = before.topics;
      const { rules: earlier } = before.topics;
      if (this.#file !== null)
        await writeRules(this.#file, { version: before.version, rules: earlier });
      throw error;
    }
    this.#log.info({ version, before: before.version, rules: rules.length }, 'rules changed');
  }
}

function withPublication(item: Sequenced, publication: Publication): Sequenced {
  return item.publication === publication ? item : { ...item, publication };
}

/** Every field is named: on the message path a spread object was measured to cost many times more. */
function renamed(publication: Publication, { topic, maximumQos }: Passage): Publication {
  if (topic === publication.topic && publication.qos <= maximumQos) return publication;
  return {
    topic,
    payload: publication.payload,
    qos: publication.qos <= maximumQos ? publication.qos : maximumQos,
    retain: publication.retain,
    properties: publication.properties,
    acceptedAt: publication.acceptedAt,
    origin: publication.origin,
  };
}

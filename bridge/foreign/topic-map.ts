/**
 * Which topics go which way, and what they are called on the other side. As in other brokers'
 * bridges: a filter, with a prefix in front of it here and another one there.
 */
import { topicMatches } from '../../base/topic.ts';
import type { ForeignRule } from './settings.ts';

export interface Wanted {
  readonly filter: string;
  readonly qos: 0 | 1 | 2;
}

export class TopicMap {
  readonly #out: readonly ForeignRule[];
  readonly #in: readonly ForeignRule[];

  constructor(rules: readonly ForeignRule[]) {
    this.#out = rules.filter(({ direction }) => direction !== 'in');
    this.#in = rules.filter(({ direction }) => direction !== 'out');
  }

  /** To be subscribed to at this edge. */
  get local(): Wanted[] {
    return this.#out.map(({ filter, local_prefix, qos }) => ({
      filter: local_prefix + filter,
      qos,
    }));
  }

  /** To be subscribed to at the other broker. */
  get remote(): Wanted[] {
    return this.#in.map(({ filter, remote_prefix, qos }) => ({
      filter: remote_prefix + filter,
      qos,
    }));
  }

  /** What a topic of this edge is called there; null when no rule lets it go. The first that does
   * decides. */
  outward(topic: string): string | null {
    for (const { filter, local_prefix, remote_prefix } of this.#out) {
      const rest = restOf(topic, local_prefix, filter);
      if (rest !== null) return remote_prefix + rest;
    }
    return null;
  }

  /** What a topic of the other broker is called here. */
  inward(topic: string): string | null {
    for (const { filter, local_prefix, remote_prefix } of this.#in) {
      const rest = restOf(topic, remote_prefix, filter);
      if (rest !== null) return local_prefix + rest;
    }
    return null;
  }
}

function restOf(topic: string, prefix: string, filter: string): string | null {
  if (!topic.startsWith(prefix)) return null;
  // The prefix belongs to the filter: a wildcard behind one hides no `$` topics of the whole name.
  if (!topicMatches(prefix + filter, topic)) return null;
  return topic.slice(prefix.length);
}

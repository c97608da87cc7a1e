/** The filters of one subscriber behind the front door, and the QoS that each was granted. */
import type { Publication, Qos } from '../../base/publication.ts';
import { topicFilterFault, topicMatches } from '../../base/topic.ts';

/** As for sessions of the broker: see `limits.subscriptions` in the configuration. */
export const subscriptionsMax = 1_000;

/** Groups and queues have other rules than the plain fan-out that a gateway attaches to. */
const specialFilter = /^\$(share|queue)\//;

export class SubscriptionSet {
  readonly #granted = new Map<string, Qos>();
  /** All have this QoS, or null when they differ. */
  #commonQos: Qos | null = null;

  get size(): number {
    return this.#granted.size;
  }

  has(filter: string): boolean {
    return this.#granted.has(filter);
  }

  /** True when the filter is new. */
  set(filter: string, qos: Qos): boolean {
    const isNew = !this.#granted.has(filter);
    this.#granted.set(filter, qos);
    this.#findCommonQos();
    return isNew;
  }

  delete(filter: string): boolean {
    const isKnown = this.#granted.delete(filter);
    if (isKnown) this.#findCommonQos();
    return isKnown;
  }

  entries(): IterableIterator<[string, Qos]> {
    return this.#granted.entries();
  }

  /** The highest QoS of the filters that match, but not above the publication's own. */
  qosFor(publication: Publication): Qos {
    if (publication.qos === 0) return 0;
    if (this.#commonQos !== null) return lesserQos(publication.qos, this.#commonQos);
    let granted: Qos = 0;
    for (const [filter, qos] of this.#granted) {
      if (qos > granted && topicMatches(filter, publication.topic)) granted = qos;
    }
    return lesserQos(publication.qos, granted);
  }

  #findCommonQos(): void {
    const all = new Set(this.#granted.values());
    const [first] = all;
    this.#commonQos = all.size === 1 && first !== undefined ? first : null;
  }
}

export function lesserQos(a: Qos, b: Qos): Qos {
  return a < b ? a : b;
}

/** Why the front door does not take a filter, or null when it does. */
export function subscriptionFault(filter: string): string | null {
  if (specialFilter.test(filter)) return 'names a shared group or a queue; subscribe to it by MQTT';
  return topicFilterFault(filter);
}

/**
 * Shared subscriptions: `$share/{group}/{filter}`.
 * Source: MQTT 5 section 4.8.2.
 */
import { topicFilterFault } from '../../base/topic.ts';

const prefix = '$share/';

export interface SharedFilter {
  readonly group: string;
  readonly filter: string;
}

export function isShared(filter: string): boolean {
  return filter === '$share' || filter.startsWith(prefix);
}

/** The parts of a shared subscription's filter, or null when it is not a valid one. */
export function sharedFilter(whole: string): SharedFilter | null {
  if (!whole.startsWith(prefix)) return null;
  const end = whole.indexOf('/', prefix.length);
  // [MQTT-4.8.2-1], [MQTT-4.8.2-2]
  if (end <= prefix.length) return null;
  const group = whole.slice(prefix.length, end);
  const filter = whole.slice(end + 1);
  if (group.includes('+') || group.includes('#') || topicFilterFault(filter) !== null) return null;
  return { group, filter };
}

/**
 * Topic names and filters: validity, matching and the slot and lane of a name.
 * Source: MQTT 3.1.1 section 4.7.
 */
import { laneCount, topicBytesMax, topicLevelsMax } from './limits.ts';

/** Why a topic name is invalid, as words for an error message, or null when it is valid. */
export function topicNameFault(topic: string): string | null {
  const fault = textFault(topic);
  if (fault !== null) return fault;
  if (topic.includes('+') || topic.includes('#')) return 'has a wildcard'; // [MQTT-3.3.2-2]
  return null;
}

/** Why a topic filter is invalid, or null when it is valid. */
export function topicFilterFault(filter: string): string | null {
  const fault = textFault(filter);
  if (fault !== null) return fault;
  const levels = filter.split('/');
  for (const [index, level] of levels.entries()) {
    // [MQTT-4.7.1-2]
    if (level.includes('#') && (level !== '#' || index !== levels.length - 1)) {
      return "has '#' that is not a whole last level";
    }
    // [MQTT-4.7.1-3]
    if (level.includes('+') && level !== '+') return "has '+' that is not a whole level";
  }
  return null;
}

function textFault(text: string): string | null {
  if (text.length === 0) return 'is empty'; // [MQTT-4.7.3-1]
  if (text.includes('\u0000')) return 'has a NUL character'; // [MQTT-4.7.3-2]
  if (text.length > topicBytesMax || Buffer.byteLength(text) > topicBytesMax) {
    return `is longer than ${topicBytesMax} bytes`;
  }
  let levels = 1;
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) === 47) levels++;
  if (levels > topicLevelsMax) return `has more than ${topicLevelsMax} levels`;
  return null;
}

export function hasWildcard(filter: string): boolean {
  return filter.includes('+') || filter.includes('#');
}

const sharePrefix = '$share/';

/** A shared subscription, `$share/{group}/{filter}`. */
export interface Share {
  readonly group: string;
  /** What its members want together. */
  readonly filter: string;
}

/** The parts of a shared subscription, why it is not a sound one, or null for another filter.
 * Source: MQTT 5 section 4.8.2; MQTT 3.1.1 clients are served the same. */
export function parseShare(whole: string): Share | string | null {
  if (whole !== '$share' && !whole.startsWith(sharePrefix)) return null;
  const end = whole.indexOf('/', sharePrefix.length);
  // [MQTT-4.8.2-2]
  if (end < 0) return 'has no filter behind the name of its group';
  const group = whole.slice(sharePrefix.length, end);
  if (group.length === 0) return 'has no name of a group'; // [MQTT-4.8.2-1]
  if (hasWildcard(group)) return 'has a wildcard in the name of its group'; // [MQTT-4.8.2-2]
  const filter = whole.slice(end + 1);
  const fault = topicFilterFault(filter);
  return fault === null ? { group, filter } : `shares a filter that ${fault}`;
}

/** The slow and obvious matcher; `TopicIndex` must agree with it. */
export function topicMatches(filter: string, topic: string): boolean {
  return levelsMatch(filter.split('/'), topic.split('/'));
}

/** The same for what is split into levels already. */
export function levelsMatch(wanted: readonly string[], given: readonly string[]): boolean {
  const first = wanted[0];
  // [MQTT-4.7.2-1] a wildcard first level never matches $-topics.
  if (given[0]?.startsWith('$') === true && (first === '+' || first === '#')) return false;
  for (let index = 0; index < wanted.length; index++) {
    const level = wanted[index];
    if (level === '#') return true;
    if (index >= given.length) return false;
    if (level !== '+' && level !== given[index]) return false;
  }
  return wanted.length === given.length;
}

/** Slot 0 to 63 of a topic: FNV-1a over its first two levels. Topics of one slot keep their order. */
export function slotOf(topic: string): number {
  let hash = 0x811c9dc5;
  let separators = 0;
  for (let i = 0; i < topic.length; i++) {
    const code = topic.charCodeAt(i);
    if (code === 47 && ++separators === 2) break;
    hash = Math.imul(hash ^ code, 0x01000193) >>> 0;
  }
  return (hash ^ (hash >>> 16)) & 63;
}

/** The lane that a topic always rides. */
export function laneOf(topic: string): number {
  return slotOf(topic) % laneCount;
}

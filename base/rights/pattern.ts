/**
 * Filters with placeholders, as rules have them, and what they match once the placeholders have
 * values. A value is data: it is compared with a whole level and never read as a wildcard or as more
 * levels than one, whatever characters it has.
 * Source: MQTT 3.1.1 and MQTT 5, section 4.7.
 */
import { topicFilterFault } from '../topic.ts';
import type { Subject } from './subject.ts';

/** `+` and `#` of the filter itself; in a value they are text. */
export const anyLevel = Symbol('+');
export const allLevels = Symbol('#');

/** One level with everything known: text is equal to a level, or not. */
export type Level = string | typeof anyLevel | typeof allLevels;

/** Text around one placeholder. Two in one level would let two clients' values run together to the
 * same text. */
interface Template {
  readonly before: string;
  readonly name: string;
  readonly after: string;
}

export interface Pattern {
  readonly levels: readonly (Level | Template)[];
  /** For everybody the same. */
  readonly isFixed: boolean;
}

const placeholder = /\{([^{}]*)\}/g;
const labelName = /^label\.[A-Za-z0-9._-]{1,64}$/;
const beyondLevel = /[+#/\0]/;
const subjectNames = new Set(['client', 'device', 'username', 'tenant']);

/** Why it can't be the filter of a rule, as words that go on "which …", or null. */
export function patternFault(text: string): string | null {
  for (const level of text.split('/')) {
    const names = [...level.matchAll(placeholder)].map((found) => found[1] as string);
    if (names.length > 1) return 'has two placeholders in one level';
    const [name] = names;
    if (name !== undefined && !subjectNames.has(name) && !labelName.test(name)) {
      return `has {${name}}; there are {client}, {device}, {username}, {tenant} and {label.NAME}`;
    }
  }
  const plain = text.replaceAll(placeholder, 'x');
  if (/[{}]/.test(plain)) return 'has a brace that is of no placeholder';
  if (plain.startsWith('$share/'))
    return 'is of a shared subscription; give the filter that it shares';
  return topicFilterFault(plain);
}

/** The text has no fault. */
export function parsePattern(text: string): Pattern {
  const levels = text.split('/').map(parseLevel);
  return { levels, isFixed: !levels.some((level) => typeof level === 'object') };
}

function parseLevel(text: string): Level | Template {
  if (text === '+') return anyLevel;
  if (text === '#') return allLevels;
  const [found] = text.matchAll(placeholder);
  if (found === undefined) return text;
  const after = text.slice(found.index + found[0].length);
  return { before: text.slice(0, found.index), name: found[1] as string, after };
}

/**
 * The pattern for one subject, or null where it matches no topic. A placeholder without a value makes
 * an allowance null, and is any value to a denial: what is not known never gives more.
 */
export function levelsFor(
  { levels, isFixed }: Pattern,
  subject: Subject,
  effect: 'allow' | 'deny',
): readonly Level[] | null {
  if (isFixed) return levels as readonly Level[];
  const found: Level[] = [];
  for (const level of levels) {
    if (typeof level !== 'object') {
      found.push(level);
      continue;
    }
    const value = valueFor(level.name, subject);
    if (value === '' && effect === 'allow') return null;
    // No topic has such a level.
    if (beyondLevel.test(value)) return null;
    found.push(value === '' ? anyLevel : level.before + value + level.after);
  }
  return effect === 'allow' && entersReserved(levels[0], found[0]) ? null : found;
}

/** A client that calls itself `$SYS` has nothing to do with the server's own topics. */
function entersReserved(level: Level | Template | undefined, found: Level | undefined): boolean {
  if (typeof level !== 'object' || typeof found !== 'string') return false;
  return found.startsWith('$') && !level.before.startsWith('$');
}

function valueFor(name: string, subject: Subject): string {
  switch (name) {
    case 'client':
      return subject.clientId;
    case 'device':
      return subject.device;
    case 'username':
      return subject.username;
    case 'tenant':
      return subject.tenant;
    default:
      return subject.labels.get(name.slice('label.'.length)) ?? '';
  }
}

/** Of a filter that a client asks for: its wildcards are wildcards. */
export function filterLevels(filter: string): Level[] {
  return filter
    .split('/')
    .map((level) => (level === '+' ? anyLevel : level === '#' ? allLevels : level));
}

/** Whether a topic, split into levels, is one of the pattern's. */
export function matchesLevels(pattern: readonly Level[], topic: readonly string[]): boolean {
  const first = pattern[0];
  // [MQTT-4.7.2-1] a wildcard first level never matches $-topics.
  if (topic[0]?.startsWith('$') === true && typeof first !== 'string') return false;
  for (const [at, level] of pattern.entries()) {
    if (level === allLevels) return true;
    if (at >= topic.length) return false;
    if (level !== anyLevel && level !== topic[at]) return false;
  }
  return pattern.length === topic.length;
}

/** Whether some topic is of both. */
export function meets(one: readonly Level[], other: readonly Level[]): boolean {
  if (hides(one[0], other[0]) || hides(other[0], one[0])) return false;
  for (let at = 0; ; at++) {
    const left = one[at];
    const right = other[at];
    // What is before a `#` may be all there is, but there is no topic without a character.
    if (left === allLevels || right === allLevels) return !isEmptyTopic(one, other, at);
    if (left === undefined || right === undefined) return left === right;
    if (left !== anyLevel && right !== anyLevel && left !== right) return false;
  }
}

/** [MQTT-4.7.2-1] */
function hides(wild: Level | undefined, text: Level | undefined): boolean {
  return typeof wild !== 'string' && typeof text === 'string' && text.startsWith('$');
}

/** Whether all that both match is the empty topic: "/#" and "" up to here, and one of them ends. */
function isEmptyTopic(one: readonly Level[], other: readonly Level[], at: number): boolean {
  const shorter = one[at] === allLevels ? other : one;
  return at === 1 && shorter.length === 1 && (one[0] === '' || other[0] === '');
}

/** One comparison of texts, made ready to be asked a million times. */
import type { Comparator } from './expression.ts';

export interface TextTest {
  readonly matches: (text: string) => boolean;
  /** The same for texts that have no capitals, which is less work. */
  readonly matchesSmall: (text: string) => boolean;
  /** Nothing else matches. */
  readonly exact: string | null;
  /** Whatever matches begins with this; empty when nothing is known. */
  readonly prefix: string;
  readonly comparator: Comparator;
  /** Between wildcards. */
  readonly parts: readonly string[];
}

export function textTest(comparator: Comparator, parts: readonly string[]): TextTest {
  const whole = parts.join('*');
  const matches = matchesOf(comparator, parts, whole);
  const isGlob = comparator === '=' || comparator === '!=';
  return {
    matches,
    matchesSmall: comparator === ':' ? insideSmall(parts) : matches,
    exact: isGlob && parts.length === 1 ? whole : null,
    prefix: isGlob ? (parts[0] as string) : '',
    comparator,
    parts,
  };
}

function matchesOf(
  comparator: Comparator,
  parts: readonly string[],
  whole: string,
): (text: string) => boolean {
  switch (comparator) {
    case '<':
      return (text) => text < whole;
    case '<=':
      return (text) => text <= whole;
    case '>':
      return (text) => text > whole;
    case '>=':
      return (text) => text >= whole;
    case ':':
      return inside(parts);
    default:
      return globOf(parts);
  }
}

/** Capitals count. The whole text must fit, where a wildcard stands for anything. */
function globOf(parts: readonly string[]): (text: string) => boolean {
  const first = parts[0] as string;
  const last = parts.at(-1) as string;
  if (parts.length === 1) return (text) => text === first;
  if (parts.length === 2) {
    const shortest = first.length + last.length;
    if (last === '') return (text) => text.startsWith(first);
    if (first === '') return (text) => text.endsWith(last);
    return (text) => text.length >= shortest && text.startsWith(first) && text.endsWith(last);
  }
  const middle = parts.slice(1, -1);
  return (text) => {
    if (!text.startsWith(first)) return false;
    const end = endOf(text, middle, first.length);
    return end >= 0 && text.length - end >= last.length && text.endsWith(last);
  };
}

/** Capitals do not count. The text may stand anywhere. */
function inside(parts: readonly string[]): (text: string) => boolean {
  const isInside = insideSmall(parts);
  return (text) => isInside(text.toLowerCase());
}

function insideSmall(parts: readonly string[]): (text: string) => boolean {
  const wanted = parts.map((part) => part.toLowerCase()).filter((part) => part !== '');
  const [only] = wanted;
  if (only === undefined) return () => true;
  if (wanted.length === 1) return (text) => text.includes(only);
  return (text) => endOf(text, wanted, 0) >= 0;
}

/** Where the parts, one after the other, have ended; -1 when they are not all there. */
function endOf(text: string, parts: readonly string[], from: number): number {
  let at = from;
  for (const part of parts) {
    const found = text.indexOf(part, at);
    if (found < 0) return -1;
    at = found + part.length;
  }
  return at;
}

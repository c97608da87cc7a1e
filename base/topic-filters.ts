/**
 * Filters among themselves: what two of them both match, and whether one matches all that another
 * does. What two filters both match is nothing or one filter again.
 * Source: MQTT 3.1.1 section 4.7.
 */

/** A filter for exactly the topics that both match; null when there are none. */
export function intersectFilters(one: string, other: string): string | null {
  const a = one.split('/');
  const b = other.split('/');
  if (isHidden(a[0] as string, b[0] as string)) return null;
  const levels: string[] = [];
  for (let at = 0; ; at++) {
    const left = a[at];
    const right = b[at];
    // "a/#" also matches "a" [MQTT-4.7.1-2].
    if (left === '#') return joined(levels, b, at);
    if (right === '#') return joined(levels, a, at);
    if (left === undefined || right === undefined) {
      return left === right ? textOf(levels) : null;
    }
    const both = levelOfBoth(left, right);
    if (both === null) return null;
    levels.push(both);
  }
}

/** Whether `wide` matches every topic that `narrow` matches. */
export function coversFilter(wide: string, narrow: string): boolean {
  const a = wide.split('/');
  // There is no empty topic, so these need a level more than they name.
  const b = (narrow === '#' || narrow === '/#' ? `${narrow.slice(0, -1)}+/#` : narrow).split('/');
  if (isHidden(a[0] as string, b[0] as string)) return false;
  for (let at = 0; ; at++) {
    const level = a[at];
    const wanted = b[at];
    if (level === '#') return true;
    if (wanted === '#') return false;
    if (level === undefined || wanted === undefined) return level === wanted;
    if (level !== '+' && level !== wanted) return false;
  }
}

function levelOfBoth(one: string, other: string): string | null {
  if (one === '+') return other;
  return other === '+' || other === one ? one : null;
}

/** [MQTT-4.7.2-1] a wildcard first level never matches $-topics. */
function isHidden(one: string, other: string): boolean {
  return (
    (one.startsWith('$') && (other === '+' || other === '#')) ||
    (other.startsWith('$') && (one === '+' || one === '#'))
  );
}

function joined(levels: readonly string[], rest: readonly string[], from: number): string | null {
  return textOf([...levels, ...rest.slice(from)]);
}

/** There is no empty topic. */
function textOf(levels: readonly string[]): string | null {
  return levels.length === 1 && levels[0] === '' ? null : levels.join('/');
}

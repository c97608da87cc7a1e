/**
 * Whether patterns together match every topic that a filter matches.
 *
 * There are endlessly many texts for a level, so it is enough to look at topics that have, for each
 * wildcard of the filter, a text that no pattern names: what matches such a topic has a wildcard
 * there, and matches all others of that length. A `#` stands for no level, one, two, and so on; past
 * the longest pattern one more level changes nothing.
 */
import { allLevels, anyLevel, type Level, matchesLevels } from './pattern.ts';

/** No topic has it: topics have no NUL. */
const unnamed = '\u0000';

/**
 * The first pattern that is needed for it, and whether there are others; null when the filter is not
 * covered.
 */
export function coveredBy<P extends { readonly levels: readonly Level[] }>(
  filter: readonly Level[],
  patterns: readonly P[],
): P | null {
  let first: P | null = null;
  for (const topic of samplesOf(filter, patterns)) {
    const found = patterns.find(({ levels }) => matchesLevels(levels, topic));
    if (found === undefined) return null;
    first ??= found;
  }
  return first;
}

/** One topic of each length that matters. */
function* samplesOf(
  filter: readonly Level[],
  patterns: readonly { readonly levels: readonly Level[] }[],
): Iterable<string[]> {
  const head = filter.filter((level) => level !== allLevels);
  const topic = head.map((level) => (level === anyLevel ? unnamed : (level as string)));
  if (head.length === filter.length) {
    yield topic;
    return;
  }
  const lengthMax = patterns.reduce((most, { levels }) => Math.max(most, levels.length), 0);
  // There is no topic without a level, nor one without a character.
  const isTopic = topic.length > 1 || (topic.length === 1 && topic[0] !== '');
  if (isTopic) yield [...topic];
  do {
    topic.push(unnamed);
    yield [...topic];
  } while (topic.length <= lengthMax);
}

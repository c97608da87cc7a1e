/** The bounds of the configuration on topics of devices, within those that hold for all. */

export interface TopicBounds {
  readonly topic_bytes: number;
  readonly topic_levels: number;
}

/** The bound that a sound topic or filter is past; null for none. */
export function topicBoundPast(topic: string, bounds: TopicBounds): keyof TopicBounds | null {
  const { topic_bytes, topic_levels } = bounds;
  // UTF-8 takes three bytes at most for each unit: most need not be counted.
  if (topic.length * 3 > topic_bytes && Buffer.byteLength(topic) > topic_bytes) {
    return 'topic_bytes';
  }
  let levels = 1;
  for (let at = topic.indexOf('/'); at >= 0; at = topic.indexOf('/', at + 1)) levels++;
  return levels > topic_levels ? 'topic_levels' : null;
}

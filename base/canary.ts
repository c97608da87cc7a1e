/**
 * The reserved topics of canaries: publications of an edge's own that go up each of its lanes, through
 * the core's log and fan-out, and back down, to prove that the whole way is open.
 */
import { laneCount } from './limits.ts';
import { laneOf } from './topic.ts';

const prefix = '$trunkline/canary-';

/** The lane of the log is that of the first two levels: one name for each, so that each is proven. */
const names: readonly string[] = Array.from({ length: laneCount }, (_, lane) => {
  for (let i = 0; ; i++) if (laneOf(`${prefix}${i}`) === lane) return `${prefix}${i}`;
});

/** The topic for one of the lanes that an edge sends on. */
export function canaryTopic(edgeId: string, lane: number): string {
  return `${names[lane % laneCount]}/${edgeId}/${lane}`;
}

export function isCanary(topic: string): boolean {
  return topic.charCodeAt(0) === 36 && topic.startsWith(prefix);
}

/** How many of these are canaries. */
export function canariesIn(items: readonly { readonly publication: { topic: string } }[]): number {
  let count = 0;
  for (const { publication } of items) if (isCanary(publication.topic)) count++;
  return count;
}

/** The lane that the canary of this topic went up; -1 when it is none of this edge. */
export function canaryLane(topic: string, edgeId: string): number {
  const [, , owner, lane] = topic.split('/');
  return isCanary(topic) && owner === edgeId ? Number(lane) : -1;
}

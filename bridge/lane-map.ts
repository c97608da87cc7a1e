/**
 * Which lane each topic goes up on: a hash of its first levels over the plain lanes, and a lane each
 * for what is urgent and for bulk. Two maps that send any topic another way have different names.
 */
import { slotOf } from '../base/topic.ts';

export type Priority = 'high' | 'normal' | 'bulk';

export interface LaneMap {
  /** Tells it from every other map, also across restarts. */
  readonly id: string;
  /** Lanes in all; `laneFor` answers one below it. */
  readonly laneCount: number;
  laneFor(topic: string): number;
  /** Whether so many publications that are accepted on the topic go up at all; absent: they do. */
  readonly goesUp?: (topic: string, count: number) => boolean;
}

/** Which topics are not of normal priority. */
export interface Priorities {
  /** Changes with what `of` answers: a digest of the rules that it goes by. */
  readonly id: string;
  of(topic: string): Priority;
}

/** Of `lanes` plain ones; high rides the lane behind them, bulk the one behind that. */
export function createLaneMap(lanes: number, priorities: Priorities | null = null): LaneMap {
  const laneCount = lanes + 2;
  const plain = (topic: string) => slotOf(topic) % lanes;
  if (priorities === null) return { id: String(lanes), laneCount, laneFor: plain };
  return {
    id: `${lanes} ${priorities.id}`,
    laneCount,
    laneFor: (topic) => {
      const priority = priorities.of(topic);
      if (priority === 'normal') return plain(topic);
      return priority === 'high' ? lanes : lanes + 1;
    },
  };
}

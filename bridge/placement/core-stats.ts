/** The cores that an edge knows, as it tells of them. */

import type { CoreStats } from '../../proto/gen/trunkline/v1/trunk.ts';
import { CoreStats_State as State } from '../../proto/gen/trunkline/v1/trunk.ts';
import type { CoreState, CoreView } from './placement.ts';

const states: Record<CoreState, State> = {
  unknown: State.UNKNOWN,
  serving: State.SERVING,
  draining: State.DRAINING,
  unreachable: State.UNREACHABLE,
};

/** The one in use comes first. */
export function coreStats(views: readonly CoreView[], inUse: string): CoreStats[] {
  const others = views.filter(({ address }) => address !== inUse);
  const own = views.filter(({ address }) => address === inUse);
  return [...own, ...others].map(({ address, coreId, region, state, roundTripMs, edges }) => {
    const roundTripUs = Math.round(roundTripMs * 1_000);
    return { address, coreId, region, state: states[state], roundTripUs, edges };
  });
}

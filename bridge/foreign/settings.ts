/** One `[[edge.foreign]]` of the configuration. */

import type { Config } from '../../base/config.ts';
import { innerClientPrefix } from '../../base/inner-client.ts';

export type ForeignSettings = Config['edge']['foreign'][number];
export type ForeignRule = ForeignSettings['topics'][number];

/** Client identifier of the session at this edge, whose queue is what waits for the other broker.
 * Devices cannot take it: the prefix is the server's own. */
export function localClientId(name: string): string {
  return `${innerClientPrefix}foreign/${name}`;
}

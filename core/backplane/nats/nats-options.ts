/** How a core uses NATS, as the configuration says. */
import type { NatsLinkOptions } from './nats-connect.ts';
import type { StreamSettings } from './streams.ts';

export interface NatsOptions extends Omit<NatsLinkOptions, 'name'>, StreamSettings {
  readonly coreId: string;
  /** In front of all names: cores with the same one are one cluster. */
  readonly prefix: string;
  /** How long a cluster may take to elect its leaders at the start. */
  readonly readyMs?: number;
}

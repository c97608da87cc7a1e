/** What the inboxes of all clients share. */
import type { Clock } from '../base/clock.ts';
import type { Ledger } from '../base/ledger.ts';
import type { Logger } from '../base/log.ts';
import type { Acceptance } from './acceptance.ts';
import type { BrokerParts } from './broker-parts.ts';
import type { LimitName } from './limit-book.ts';
import type { Uplink } from './ports.ts';
import type { Router } from './routing/router.ts';
import type { TopicBounds } from './topic-bounds.ts';

export interface InboxParts {
  readonly log: Logger;
  readonly clock: Clock;
  readonly ledger: Ledger;
  readonly acceptance: Acceptance;
  readonly router: Router;
  readonly uplink: Uplink;
  readonly limits: InboxLimits;
  readonly onLimit: (limit: LimitName, clientId: string) => void;
  /** Memory is short: publishers wait. */
  readonly isShort: () => boolean;
}

export interface InboxLimits extends TopicBounds {
  /** QoS 1 and 2 that a client may have under way; the Receive Maximum that MQTT 5 clients are told. */
  readonly receive_maximum: number;
  readonly topic_aliases: number;
}

export function inboxParts(
  outer: Pick<InboxParts, 'log' | 'clock' | 'ledger' | 'uplink'>,
  { acceptance, router, limitBook, memory }: BrokerParts,
  limits: InboxLimits,
): InboxParts {
  const { log, clock, ledger, uplink } = outer;
  return {
    ...{ log, clock, ledger, acceptance, router, uplink, limits },
    onLimit: (limit, clientId) => limitBook.met(limit, { client_id: clientId }),
    isShort: () => memory.pressure === 'holding',
  };
}

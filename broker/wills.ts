/**
 * Wills: on disk before CONNACK, published when a connection ends without DISCONNECT, and after a
 * start for every client that was connected when the process died.
 * Source: MQTT 3.1.1 section 3.1.2.5.
 */
import type { Clock } from '../base/clock.ts';
import type { Ledger } from '../base/ledger.ts';
import type { Publication, Qos } from '../base/publication.ts';
import type { Acceptance } from './acceptance.ts';
import type { Will } from './aedes-host.ts';
import type { Uplink } from './ports.ts';
import type { Router } from './routing/router.ts';
import type { StateStore, WillRow } from './store/state-store.ts';

export interface WillsParts {
  readonly clock: Clock;
  readonly ledger: Ledger;
  readonly store: StateStore;
  readonly acceptance: Acceptance;
  readonly router: Router;
  readonly uplink: Uplink;
}

/** The connection that a will came with. */
interface WillOwner {
  readonly destroyed: boolean;
}

const local = { source: { kind: 'device' }, clientId: '', packetId: 0 } as const;

export class Wills {
  readonly #parts: WillsParts;
  /** Clients that have a row, with the connection that it is of. */
  readonly #kept = new Map<string, WillOwner>();

  constructor(parts: WillsParts) {
    this.#parts = parts;
  }

  async keep(clientId: string, owner: WillOwner, will: Will): Promise<void> {
    this.#kept.set(clientId, owner);
    this.#parts.store.wills.put([
      clientId,
      will.topic,
      will.payload,
      will.qos,
      will.retain ? 1 : 0,
    ]);
    await this.#parts.store.commit();
  }

  /** The row of a connection that is open is newer than what is to be dropped. */
  drop(clientId: string): void {
    if (this.#kept.get(clientId)?.destroyed !== true) return;
    this.#kept.delete(clientId);
    this.#parts.store.wills.delete([clientId]);
  }

  /** Resolves when it is routed, and durable where its QoS asks for it. */
  publish(will: Will): Promise<void> {
    const publication = this.#publicationOf(will);
    if (will.qos > 0 || will.retain) return this.#publishDurably(publication);
    this.#parts.ledger.accepted[0].add();
    this.#parts.router.route(publication, 0);
    this.#parts.uplink.offer(publication);
    return Promise.resolve();
  }

  /** After a start: the connections of the earlier run are gone, so their wills are due. */
  async publishLeftOver(): Promise<number> {
    const { store } = this.#parts;
    const rows = await store.load<WillRow>(store.wills);
    // All at once: after a crash there is one for every device that was connected.
    await Promise.all(
      rows.map(async ({ client_id, topic, payload, qos, retain }) => {
        const will = { topic, payload, qos: qos as Qos, retain: retain === 1 };
        // No link is up yet: also QoS 0 takes the durable way, or nobody elsewhere would hear of it.
        await this.#publishDurably(this.#publicationOf(will));
        store.wills.delete([client_id]);
      }),
    );
    return rows.length;
  }

  #publishDurably(publication: Publication): Promise<void> {
    return new Promise((resolve) => {
      this.#parts.acceptance.publish(publication, local, () => {
        this.#parts.ledger.accepted[publication.qos].add();
        resolve();
      });
    });
  }

  #publicationOf(will: Will): Publication {
    return { ...will, properties: null, acceptedAt: this.#parts.clock.now(), origin: '' };
  }
}

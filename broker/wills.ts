/**
 * Wills: on disk before CONNACK, published when a connection ends without a DISCONNECT that takes
 * them back, or some time after that (MQTT 5), and after a start for every client that was connected
 * when the process died.
 * Source: MQTT 3.1.1 section 3.1.2.5; MQTT 5 sections 3.1.2.5 and 3.1.3.2.
 */
import type { Clock } from '../base/clock.ts';
import type { Ledger } from '../base/ledger.ts';
import type { Logger } from '../base/log.ts';
import type { Publication, Qos } from '../base/publication.ts';
import { type Subject, subjectFromText, subjectText } from '../base/rights/subject.ts';
import type { Acceptance } from './acceptance.ts';
import type { Authorize, Principal } from './authorize.ts';
import type { Will } from './connect-request.ts';
import type { Uplink } from './ports.ts';
import type { Router } from './routing/router.ts';
import type { StateStore, WillRow } from './store/state-store.ts';

export interface WillsParts {
  readonly log: Logger;
  readonly authorize: Authorize;
  readonly clock: Clock;
  readonly ledger: Ledger;
  readonly store: StateStore;
  readonly acceptance: Acceptance;
  readonly router: Router;
  readonly uplink: Uplink;
}

/** The connection that a will came with. */
export interface WillOwner {
  readonly destroyed: boolean;
}

interface KeptWill {
  readonly clientId: string;
  /** Whose rights it needs when it leaves. */
  readonly subject: Subject | null;
  readonly will: Will;
  readonly owner: WillOwner | null;
  /** While it waits for its time: when that is, milliseconds since the epoch; else 0. */
  dueAt: number;
  stopWaiting: () => void;
}

/** Timers take no longer spans. */
const timerMsMax = 2 ** 31 - 1;

/** How long a close waits for wills on their way to a disk that does not answer. */
const closeMs = 3_000;

const local = { source: { kind: 'device' }, clientId: '', packetId: 0, publisher: null } as const;

export class Wills {
  readonly #parts: WillsParts;
  /** By client identifier; each has a row. */
  readonly #kept = new Map<string, KeptWill>();
  /** On their way to the disk, by client identifier. */
  readonly #leaving = new Map<string, Promise<void>>();

  constructor(parts: WillsParts) {
    this.#parts = parts;
  }

  /** CONNECT: takes back a will that still waits, since the client is there again [MQTT-3.1.3-9],
   * and keeps the new one. True when that changed what has to be durable before CONNACK. */
  async replace(
    { clientId, subject }: Pick<Principal, 'clientId' | 'subject'>,
    owner: WillOwner,
    will: Will | null,
  ): Promise<boolean> {
    // Its row must be gone before there is another.
    await this.#leaving.get(clientId);
    if (owner.destroyed) return false;
    const before = this.#kept.get(clientId);
    if (before !== undefined) this.#forget(before);
    if (will === null) return before !== undefined;
    this.#keep({ clientId, subject, will, owner, dueAt: 0, stopWaiting: () => {} });
    return true;
  }

  /** The connection is gone. A will that is wanted leaves now, or when its delay or the session is
   * over, whichever is first. */
  connectionEnded(
    clientId: string,
    owner: WillOwner,
    { isWanted, keptSeconds }: { readonly isWanted: boolean; readonly keptSeconds: number },
  ): void {
    const kept = this.#kept.get(clientId);
    if (kept === undefined || kept.owner !== owner) return;
    if (!isWanted) {
      this.#forget(kept);
      return;
    }
    const waitSeconds = Math.min(kept.will.delaySeconds, keptSeconds);
    if (waitSeconds === 0) this.#leave(kept);
    else this.#wait(kept, this.#parts.clock.now() + waitSeconds * 1_000);
  }

  /** The session is no more: its will waits no longer. */
  sessionEnded(clientId: string): void {
    const kept = this.#kept.get(clientId);
    if (kept !== undefined && kept.dueAt > 0) this.#leave(kept);
  }

  /** After a start: the connections of the earlier run are gone. `keptSeconds` tells how long a
   * client's session outlives its connection, 0 for one that is not there. Answers how many left. */
  async restore(keptSeconds: (clientId: string) => number): Promise<number> {
    const { store, clock } = this.#parts;
    const now = clock.now();
    for (const row of await store.load<WillRow>(store.wills)) {
      const { client_id: clientId, delay_seconds: delaySeconds } = row;
      const will = willOf(row);
      const waitSeconds = Math.min(delaySeconds, keptSeconds(clientId));
      const dueAt = row.due_at > 0 ? row.due_at : now + waitSeconds * 1_000;
      const subject = subjectFromText(row.subject, clientId);
      const kept = { clientId, subject, will, owner: null, dueAt: 0, stopWaiting: () => {} };
      this.#kept.set(clientId, kept);
      if (waitSeconds > 0 && dueAt > now) {
        this.#wait(kept, dueAt);
        continue;
      }
      // No link is up yet: also QoS 0 takes the durable way, or nobody elsewhere would hear of it.
      this.#leave(kept, true);
    }
    // All at once: after a crash there is one for every device that was connected.
    const leaving = [...this.#leaving.values()];
    await Promise.all(leaving);
    return leaving.length;
  }

  /** Those that wait stay for the next start; those on their way get there. */
  async close(): Promise<void> {
    for (const kept of this.#kept.values()) kept.stopWaiting();
    if (this.#leaving.size === 0) return;
    let stop = () => {};
    const late = new Promise<void>((resolve) => {
      stop = this.#parts.clock.after(closeMs, resolve);
    });
    await Promise.race([Promise.all(this.#leaving.values()), late]);
    stop();
  }

  #keep(kept: KeptWill): void {
    const { clientId, subject, will, dueAt } = kept;
    this.#kept.set(clientId, kept);
    this.#parts.store.wills.put([
      clientId,
      will.topic,
      will.payload,
      will.qos,
      will.retain ? 1 : 0,
      will.properties,
      will.delaySeconds,
      dueAt,
      subjectText(subject),
    ]);
  }

  #forget(kept: KeptWill): void {
    kept.stopWaiting();
    this.#kept.delete(kept.clientId);
    this.#parts.store.wills.delete([kept.clientId]);
  }

  #wait(kept: KeptWill, dueAt: number): void {
    kept.dueAt = dueAt;
    this.#keep(kept);
    this.#arm(kept);
  }

  #arm(kept: KeptWill): void {
    const { clock } = this.#parts;
    const waitMs = Math.min(Math.max(0, kept.dueAt - clock.now()), timerMsMax);
    kept.stopWaiting = clock.after(waitMs, () => {
      if (kept.dueAt > clock.now()) this.#arm(kept);
      else this.#leave(kept);
    });
  }

  /** Its row goes when it is where its QoS asks for, or when its client may not publish it any more. */
  #leave(kept: KeptWill, isDurable = false): void {
    const { clientId, will } = kept;
    kept.stopWaiting();
    this.#kept.delete(clientId);
    const left = this.#published(kept, isDurable || will.qos > 0 || will.retain).then(() => {
      this.#leaving.delete(clientId);
      this.#parts.store.wills.delete([clientId]);
    });
    this.#leaving.set(clientId, left);
  }

  /** Resolves when it is routed, and durable where that is wanted. */
  #published({ clientId, subject, will }: KeptWill, isDurable: boolean): Promise<void> {
    const { isAllowed, reason, rule } = this.#parts.authorize.will(subject, will);
    if (!isAllowed) {
      this.#parts.ledger.refused('not-authorized');
      const fields = { client_id: clientId, topic: will.topic, reason, rule };
      this.#parts.log.info(fields, 'will not published, not authorized');
      return Promise.resolve();
    }
    const publication = this.#publicationOf(will);
    if (isDurable) return this.#publishDurably(publication);
    this.#parts.ledger.accepted[0].add();
    this.#parts.router.route(publication, { sequence: 0, publisher: null });
    this.#parts.uplink.offer(publication);
    return Promise.resolve();
  }

  #publishDurably(publication: Publication): Promise<void> {
    return new Promise((resolve) => {
      this.#parts.acceptance.publish(publication, local, () => {
        this.#parts.ledger.accepted[publication.qos].add();
        resolve();
      });
    });
  }

  #publicationOf({ topic, payload, qos, retain, properties }: Will): Publication {
    const acceptedAt = this.#parts.clock.now();
    return { topic, payload, qos, retain, properties, acceptedAt, origin: '' };
  }
}

function willOf(row: WillRow): Will {
  return {
    topic: row.topic,
    payload: row.payload,
    qos: row.qos as Qos,
    retain: row.retain === 1,
    properties: row.properties,
    delaySeconds: row.delay_seconds,
  };
}

/**
 * What waits for the disk before it may be routed and acknowledged, in log order. Nothing leaves
 * here before the fdatasync that covers its record: acked means kept.
 */
import type { Ledger } from '../base/ledger.ts';
import type { Publication } from '../base/publication.ts';
import type { MessageLog, SpoolSource } from './ports.ts';
import type { Router } from './routing/router.ts';

interface Waiting {
  readonly sequence: number;
  /** Null for a release. */
  readonly publication: Publication | null;
  readonly then: () => void;
}

export interface AcceptanceParts {
  readonly ledger: Ledger;
  readonly messageLog: MessageLog;
  readonly router: Router;
}

export class Acceptance {
  readonly #parts: AcceptanceParts;
  #waiting: Waiting[] = [];
  #head = 0;

  constructor(parts: AcceptanceParts) {
    this.#parts = parts;
    parts.messageLog.onDurable((through) => this.#settle(through));
  }

  /** Publishers of QoS above 0 must wait. */
  get isSaturated(): boolean {
    return this.#parts.messageLog.isSaturated;
  }

  /** Appends it; once durable it is routed and `then` runs, in the order of the calls. */
  publish(
    publication: Publication,
    from: { readonly source: SpoolSource; readonly clientId: string; readonly packetId: number },
    then: () => void,
  ): void {
    const { source, clientId, packetId } = from;
    const entry = { kind: 'publication', publication, source, clientId, packetId } as const;
    const sequence = this.#parts.messageLog.append(entry);
    this.#waiting.push({ sequence, publication, then });
  }

  /** PUBREL of a kept session. */
  release(clientId: string, packetId: number, then: () => void): void {
    const sequence = this.#parts.messageLog.append({ kind: 'release', clientId, packetId });
    this.#waiting.push({ sequence, publication: null, then });
  }

  #settle(through: number): void {
    for (;;) {
      const next = this.#waiting[this.#head];
      if (next === undefined || next.sequence > through) break;
      this.#head++;
      if (next.publication !== null) this.#parts.router.route(next.publication, next.sequence);
      next.then();
    }
    if (this.#head === this.#waiting.length) {
      this.#waiting = [];
      this.#head = 0;
    } else if (this.#head > 4096) {
      this.#waiting = this.#waiting.slice(this.#head);
      this.#head = 0;
    }
  }
}

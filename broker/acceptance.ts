/**
 * What waits for the disk before it may be routed and acknowledged, in log order. Nothing leaves
 * here before the fdatasync that covers its record: acked means kept. Only when the edge was told
 * to keep messages in memory does nothing wait.
 */
import type { Ledger } from '../base/ledger.ts';
import type { Publication } from '../base/publication.ts';
import type { Run } from '../proto/run.ts';
import type { LogEntry, MessageLog, SpoolSource } from './ports.ts';
import type { Router } from './routing/router.ts';
import type { Session } from './session.ts';

interface Waiting {
  readonly sequence: number;
  /** The last sequence that it takes. */
  readonly through: number;
  /** Null when there is nothing to route. */
  readonly what: Publication | Run | null;
  readonly publisher: Session | null;
  readonly then: () => void;
}

export interface AcceptanceParts {
  readonly ledger: Ledger;
  readonly messageLog: MessageLog;
  readonly router: Router;
}

/** Where a publication came from. */
export interface PublicationSource {
  readonly source: SpoolSource;
  /** What the log notes of a kept session: see `LogPublication`. */
  readonly clientId: string;
  readonly packetId: number;
  readonly publisher: Session | null;
}

/** The same of a run; `source`, that of its first, only when it did not come from a device. */
export interface RunSource {
  readonly source?: SpoolSource;
  readonly clientId: string;
  readonly publisher: Session | null;
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
  publish(publication: Publication, from: PublicationSource, then: () => void): void {
    const { source, clientId, packetId, publisher } = from;
    const kind = 'publication';
    this.#append({ kind, publication, source, clientId, packetId }, { publisher, then });
  }

  /** The same for a run. */
  publishRun(run: Run, from: RunSource, then: () => void): void {
    const { clientId, publisher, source } = from;
    const entry: LogEntry =
      source === undefined
        ? { kind: 'run', run, clientId }
        : { kind: 'run', run, clientId, source };
    this.#append(entry, { publisher, then });
  }

  /** PUBREL of a kept session. */
  release(clientId: string, packetId: number, then: () => void): void {
    this.#append({ kind: 'release', clientId, packetId }, { publisher: null, then });
  }

  /** Runs `then` when what the publisher has sent to be retained is routed; at once when nothing of it
   * is under way. */
  whenRetained(publisher: Session | undefined, then: () => void): void {
    const last = this.#waiting.findLastIndex(
      (one) => one.publisher === publisher && isToRetain(one.what),
    );
    const waiting = last < this.#head ? undefined : this.#waiting[last];
    if (waiting === undefined) then();
    else this.#waiting.splice(last + 1, 0, { ...waiting, what: null, publisher: null, then });
  }

  #append(
    entry: LogEntry,
    { publisher, then }: { readonly publisher: Session | null; readonly then: () => void },
  ): void {
    const { messageLog } = this.#parts;
    const sequence = messageLog.append(entry);
    const through = sequence + (entry.kind === 'run' ? entry.run.count : 1) - 1;
    const what =
      entry.kind === 'publication' ? entry.publication : entry.kind === 'run' ? entry.run : null;
    const waiting = { sequence, through, what, publisher, then };
    if (messageLog.isVolatile) this.#take(waiting);
    else this.#waiting.push(waiting);
  }

  #settle(through: number): void {
    for (;;) {
      const next = this.#waiting[this.#head];
      if (next === undefined || next.through > through) break;
      this.#head++;
      this.#take(next);
    }
    if (this.#head === this.#waiting.length) {
      this.#waiting = [];
      this.#head = 0;
    } else if (this.#head > 4096) {
      this.#waiting = this.#waiting.slice(this.#head);
      this.#head = 0;
    }
  }

  #take({ what, sequence, publisher, then }: Waiting): void {
    const { router } = this.#parts;
    if (what !== null) {
      if ('count' in what) router.routeRun(what, { sequence, publisher });
      else router.route(what, { sequence, publisher });
    }
    then();
  }
}

/** Runs are never retained. */
function isToRetain(what: Waiting['what']): boolean {
  return what !== null && !('count' in what) && what.retain;
}

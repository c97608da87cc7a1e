/**
 * Who may come in, and when, before anything is spent on it: connections that have not said CONNECT
 * are bounded, and so are connections and CONNECTs of one address; CONNECTs have their turn in the
 * order in which they came, one in each turn of the event loop and so many a second. A fleet that
 * comes all at once has its turns like one client that floods, and does not hold up those that are
 * there. Who would have to wait longer than a client does is told to come again.
 */
import type { Clock } from '../base/clock.ts';
import type { Limits } from '../base/config.ts';
import { networkOf } from './auth/attempt-throttle.ts';
import type { CloseReason } from './connection/connection-port.ts';
import type { Refusal } from './connection/dialect.ts';
import { connackCodes } from './connection/frames.ts';
import type { LimitBook, LimitName } from './limit-book.ts';
import { innerListener } from './listeners.ts';
import { type ReasonCode, reasonCodes } from './mqtt5/reason-codes.ts';

/** Of a connection, what is asked for here. */
export interface Comer {
  readonly destroyed: boolean;
  readonly listener: string;
  readonly remoteAddress: string;
  end(reason: CloseReason): void;
}

export interface ConnectGateParts<C extends Comer> {
  readonly clock: Clock;
  readonly limitBook: LimitBook;
  /** Answers CONNECT. */
  readonly turnAway: (connection: C, reason: string, refusal: Refusal) => void;
  /** Memory is short: nobody new. */
  readonly isShort: () => boolean;
}

interface Waiting<C> {
  readonly connection: C;
  readonly letIn: () => void;
}

/** What is left of an address's CONNECTs of this second. */
interface Share {
  left: number;
  filledAt: number;
}

/** Clients give up after about as long. */
const patienceSeconds = 10;
const sharesMax = 20_000;

/** Turns in a row that belong to new sockets while CONNECTs wait. */
const arrivalTurnsMax = 8;

const reasonStrings = new Map<string, string>([
  ['connections_per_address', 'There are too many connections from this address.'],
  ['connect_rate_per_address', 'This address connects too often.'],
  ['connect_rate', 'Too many clients connect at once: come again later.'],
  ['memory_bytes', 'The server has too much to do: come again later.'],
]);

export class ConnectGate<C extends Comer> {
  readonly #parts: ConnectGateParts<C>;
  readonly #limits: Limits;
  /** Have not said CONNECT, the oldest first. */
  readonly #silent = new Set<C>();
  readonly #waiting: Waiting<C>[] = [];
  #nextWaiting = 0;
  readonly #perAddress = new Map<string, number>();
  readonly #shares = new Map<string, Share>();
  #tokens: number;
  #filledAt: number;
  #isScheduled = false;
  /** Since the last look, and looks in a row at which there were. */
  #hasArrivals = false;
  #arrivalTurns = 0;
  #cancel: () => void = () => {};

  constructor(parts: ConnectGateParts<C>, limits: Limits) {
    this.#parts = parts;
    this.#limits = limits;
    this.#tokens = limits.connect_rate;
    this.#filledAt = parts.clock.elapsed();
  }

  /** Connections that have not been let in. */
  get connectingCount(): number {
    return this.#silent.size + this.#waiting.length - this.#nextWaiting;
  }

  arrived(connection: C): void {
    const { remoteAddress } = connection;
    if (connection.listener === innerListener) return;
    const address = networkOf(remoteAddress);
    this.#perAddress.set(address, (this.#perAddress.get(address) ?? 0) + 1);
    this.#silent.add(connection);
    this.#hasArrivals = true;
    if (this.connectingCount <= this.#limits.connecting) return;
    this.#parts.limitBook.met('connecting', { remote_address: remoteAddress });
    const [oldest] = this.#silent;
    oldest?.end('too-many-connecting');
  }

  left(connection: C): void {
    if (connection.listener === innerListener) return;
    this.#silent.delete(connection);
    const address = networkOf(connection.remoteAddress);
    const count = (this.#perAddress.get(address) ?? 0) - 1;
    if (count > 0) this.#perAddress.set(address, count);
    else this.#perAddress.delete(address);
  }

  /** CONNECT is there; `letIn` is called when its turn has come. */
  enter(connection: C, letIn: () => void): void {
    this.#silent.delete(connection);
    const past = connection.listener === innerListener ? null : this.#pastOf(connection);
    if (past !== null) {
      this.#turnAway(connection, past[0], past[1]);
      return;
    }
    this.#waiting.push({ connection, letIn });
    this.#schedule();
  }

  close(): void {
    this.#cancel();
    this.#waiting.length = 0;
  }

  #pastOf({ remoteAddress }: C): readonly [LimitName, ReasonCode] | null {
    const { connections_per_address, connect_rate } = this.#limits;
    if (this.#parts.isShort()) return ['memory_bytes', reasonCodes.serverBusy];
    const address = networkOf(remoteAddress);
    const count = this.#perAddress.get(address) ?? 0;
    if (connections_per_address > 0 && count > connections_per_address) {
      return ['connections_per_address', reasonCodes.quotaExceeded];
    }
    if (!this.#takeShare(address)) {
      return ['connect_rate_per_address', reasonCodes.connectionRateExceeded];
    }
    const before = this.#waiting.length - this.#nextWaiting;
    if (connect_rate > 0 && before > connect_rate * patienceSeconds) {
      return ['connect_rate', reasonCodes.connectionRateExceeded];
    }
    return null;
  }

  #turnAway(connection: C, limit: LimitName, reasonCode: ReasonCode): void {
    this.#parts.limitBook.met(limit, { remote_address: connection.remoteAddress });
    this.#parts.turnAway(connection, limit.replaceAll('_', '-'), {
      returnCode: connackCodes.serverUnavailable,
      reasonCode,
      reasonString: reasonStrings.get(limit) ?? '',
    });
  }

  /** One of what this address has each second; false when there is none left. */
  #takeShare(address: string): boolean {
    const perSecond = this.#limits.connect_rate_per_address;
    if (perSecond === 0) return true;
    const now = this.#parts.clock.elapsed();
    const share = this.#shares.get(address) ?? { left: perSecond, filledAt: now };
    share.left = Math.min(perSecond, share.left + ((now - share.filledAt) / 1_000) * perSecond);
    share.filledAt = now;
    this.#shares.delete(address);
    this.#shares.set(address, share);
    const [oldest] = this.#shares.keys();
    if (this.#shares.size > sharesMax && oldest !== undefined) this.#shares.delete(oldest);
    if (share.left < 1) return false;
    share.left--;
    return true;
  }

  #schedule(): void {
    if (this.#isScheduled || this.#nextWaiting === this.#waiting.length) return;
    this.#isScheduled = true;
    const ms = this.#msToToken();
    if (ms === 0) setImmediate(() => this.#letOneIn());
    else this.#cancel = this.#parts.clock.after(ms, () => this.#letOneIn());
  }

  #letOneIn(): void {
    this.#isScheduled = false;
    if (this.#givesWay()) {
      this.#schedule();
      return;
    }
    let next = this.#shift();
    while (next?.connection.destroyed === true) next = this.#shift();
    if (next !== undefined) this.#tokens--;
    this.#schedule();
    next?.letIn();
  }

  /** Sockets are taken from the kernel one a turn: turns with a CONNECT are ten times as long, and
   * past what the kernel holds clients would wait for seconds until they try again. */
  #givesWay(): boolean {
    const { connecting } = this.#limits;
    const gives =
      this.#hasArrivals &&
      this.#arrivalTurns < arrivalTurnsMax &&
      this.connectingCount < connecting / 2;
    this.#arrivalTurns = gives ? this.#arrivalTurns + 1 : 0;
    this.#hasArrivals = false;
    return gives;
  }

  #shift(): Waiting<C> | undefined {
    const next = this.#waiting[this.#nextWaiting];
    if (next !== undefined) this.#nextWaiting++;
    // What is done is let go of in one go: each by itself would move all behind it.
    if (this.#nextWaiting >= 1_024 || this.#nextWaiting === this.#waiting.length) {
      this.#waiting.splice(0, this.#nextWaiting);
      this.#nextWaiting = 0;
    }
    return next;
  }

  /** A second's worth of turns may be saved up. */
  #msToToken(): number {
    const { connect_rate: perSecond } = this.#limits;
    if (perSecond === 0) return 0;
    const now = this.#parts.clock.elapsed();
    const fresh = ((now - this.#filledAt) / 1_000) * perSecond;
    this.#filledAt = now;
    this.#tokens = Math.min(perSecond, this.#tokens + fresh);
    return this.#tokens >= 1 ? 0 : Math.ceil(((1 - this.#tokens) / perSecond) * 1_000);
  }
}

/**
 * Follows one stream from a sequence on, in order and without gaps: a push consumer in the server's
 * memory, made anew from the next sequence whenever something is missing or it falls silent.
 */
import type { Clock } from '../../../base/clock.ts';
import { messageOf } from '../../../base/errors.ts';
import type { Logger } from '../../../base/log.ts';
import type { Msg, NatsLink } from './nats-link.ts';

const heartbeatMs = 1_000;
const silenceMsMax = 3_500;
const retryMs = 250;
const nanoseconds = 1_000_000;

export interface Followed {
  readonly seq: number;
  readonly storedAt: number;
  /** Messages that stand behind it at present. */
  readonly pending: number;
  readonly message: Msg;
}

export interface FollowerParts {
  readonly log: Logger;
  readonly clock: Clock;
  readonly link: NatsLink;
}

export interface FollowerOptions {
  readonly stream: string;
  readonly from: number;
  /** Each message once, in order. Must not throw. */
  readonly take: (followed: Followed) => void;
}

export class Follower {
  readonly #parts: FollowerParts;
  readonly #options: FollowerOptions;
  #next: number;
  #subscription: { unsubscribe(): void } | null = null;
  #delivered = 0;
  #heardAt = 0;
  #round = 0;
  #isClosed = false;
  readonly #stopTicking: () => void;
  #cancelRetry: () => void = () => {};

  constructor(parts: FollowerParts, options: FollowerOptions) {
    this.#parts = parts;
    this.#options = options;
    this.#next = options.from;
    this.#stopTicking = parts.clock.every(heartbeatMs, () => this.#tick());
    this.#begin();
  }

  close(): void {
    this.#isClosed = true;
    this.#stopTicking();
    this.#end();
  }

  #tick(): void {
    const silentMs = this.#parts.clock.elapsed() - this.#heardAt;
    if (this.#subscription !== null && silentMs > silenceMsMax) this.#restart('silent');
  }

  #begin(): void {
    const { clock, link, log } = this.#parts;
    const { stream } = this.#options;
    const round = ++this.#round;
    const inbox = `_INBOX.${crypto.randomUUID().replaceAll('-', '')}`;
    this.#delivered = 0;
    this.#heardAt = clock.elapsed();
    this.#subscription = link.subscribe(inbox, (message) => {
      if (round === this.#round) this.#heard(message);
    });
    const config = {
      deliver_subject: inbox,
      deliver_policy: 'by_start_sequence',
      opt_start_seq: this.#next,
      ack_policy: 'none',
      max_deliver: 1,
      flow_control: true,
      idle_heartbeat: heartbeatMs * nanoseconds,
      mem_storage: true,
      num_replicas: 1,
    };
    link.call(`CONSUMER.CREATE.${stream}`, { stream_name: stream, config }).catch((error) => {
      if (this.#isClosed || round !== this.#round) return;
      log.debug({ stream, reason: messageOf(error) }, 'engine stream cannot be followed yet');
      this.#end();
      this.#cancelRetry = clock.after(retryMs, () => this.#begin());
    });
  }

  #end(): void {
    this.#round++;
    this.#cancelRetry();
    this.#subscription?.unsubscribe();
    this.#subscription = null;
  }

  #restart(reason: string): void {
    const { stream } = this.#options;
    this.#parts.log.info({ stream, next: this.#next, reason }, 'engine stream is followed anew');
    this.#end();
    if (!this.#isClosed) this.#begin();
  }

  #heard(message: Msg): void {
    this.#heardAt = this.#parts.clock.elapsed();
    const code = message.headers?.code ?? 0;
    if (code === 100) {
      this.#control(message);
      return;
    }
    if (code !== 0) {
      this.#restart(message.headers?.description ?? String(code));
      return;
    }
    const place = placeOf(message.reply ?? '');
    if (place === null || place.delivered !== this.#delivered + 1) {
      this.#restart('a message is missing');
      return;
    }
    this.#delivered = place.delivered;
    if (place.seq < this.#next) return;
    this.#next = place.seq + 1;
    const { pending, seq, storedAt } = place;
    this.#options.take({ seq, storedAt, pending, message });
  }

  /** Flow control is answered; a heartbeat tells what should have come. */
  #control(message: Msg): void {
    const stalled = message.headers?.get('Nats-Consumer-Stalled') ?? '';
    const reply = message.reply || stalled;
    if (reply !== '') this.#parts.link.send(reply, new Uint8Array());
    const last = message.headers?.get('Nats-Last-Consumer') ?? '';
    if (last !== '' && Number(last) > this.#delivered) this.#restart('messages are missing');
  }
}

/** `$JS.ACK.<stream>.<consumer>.<times>.<stream seq>.<consumer seq>.<ns>.<pending>`, which newer
 * servers write with two tokens more in front. */
function placeOf(
  reply: string,
): (Omit<Followed, 'message'> & { readonly delivered: number }) | null {
  const tokens = reply.split('.');
  const at = tokens.length === 9 ? 5 : 7;
  const [seq, delivered, time, pending] = tokens.slice(at, at + 4).map(Number);
  if (seq === undefined || delivered === undefined || time === undefined) return null;
  return { seq, delivered, storedAt: Math.floor(time / 1e6), pending: pending ?? 0 };
}

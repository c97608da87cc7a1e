/**
 * Sends what an outbox has queued, as far as the window and the socket have room: at once where it
 * can be, one step after the other where something has to be read or written down first. On a new
 * connection what was in flight goes first, in order.
 */
import type { Limits } from '../base/config.ts';
import { ackFrame, ackHeads } from './connection/frames.ts';
import type { Delivery, FrameSink, OutboxParts } from './delivery.ts';
import type { DeliveryBooks } from './delivery-books.ts';
import type { DeliveryQueue } from './delivery-queue.ts';
import type { Inflight, InflightWindow } from './inflight-window.ts';
import { PublishWriter, type Unwritable } from './publish-writer.ts';

/** The outbox's own. */
export interface OutboxState {
  readonly queue: DeliveryQueue;
  readonly inflight: InflightWindow;
  readonly books: DeliveryBooks;
}

export class OutboxSender {
  readonly #parts: OutboxParts;
  readonly #limits: Limits;
  readonly #queue: DeliveryQueue;
  readonly #inflight: InflightWindow;
  readonly #books: DeliveryBooks;
  readonly #onSent: () => void;
  #sink: FrameSink | null = null;
  #writer: PublishWriter | null = null;
  #windowSize: number;
  #isPumping = false;
  /** A connection has come and what was in flight has not been sent on it. */
  #needsResume = false;
  #isAbandoned = false;
  /** Null when all that waits may leave; for as long as something of before a change of rights does. */
  #receives: ((topic: string) => boolean) | null = null;
  /** Goes on with sending again; there may be room. */
  #endWait: () => void = () => {};

  constructor(parts: OutboxParts, limits: Limits, of: OutboxState & { onSent: () => void }) {
    this.#parts = parts;
    this.#limits = limits;
    this.#windowSize = limits.inflight;
    this.#queue = of.queue;
    this.#inflight = of.inflight;
    this.#books = of.books;
    this.#onSent = of.onSent;
  }

  /** Null while the session has no connection. */
  get sink(): FrameSink | null {
    return this.#sink;
  }

  /** Deliveries that may be in flight on the present connection. */
  get windowSize(): number {
    return this.#windowSize;
  }

  /** Nothing waits for its turn here, or is being read or written down. */
  get isClear(): boolean {
    return !this.#needsResume && !this.#isPumping && this.#queue.length === 0;
  }

  /** Deliveries that may leave at once. */
  get room(): number {
    const sink = this.#sink;
    if (sink === null || !this.isClear || sink.backlogBytes > this.#limits.output_bytes) return 0;
    return Math.max(0, this.#windowSize - this.#inflight.size);
  }

  attach(sink: FrameSink): void {
    this.#sink = sink;
    this.#writer = new PublishWriter(this.#parts.clock, sink);
    this.#windowSize = Math.min(this.#limits.inflight, sink.terms.receiveMaximum);
    this.#needsResume = true;
    this.#inflight.stopTiming();
    this.pump();
  }

  detach(): void {
    this.#sink = null;
    this.#writer = null;
    this.#endWait();
    this.#onSent();
  }

  /** What waits and is in flight goes on only with these topics. */
  restrict(receives: (topic: string) => boolean): void {
    this.#receives = receives;
  }

  /** What is being read is dropped when it comes. */
  abandon(): void {
    this.#isAbandoned = true;
  }

  /** QoS 0, past the queue. */
  writeAtMostOnce(delivery: Delivery): Unwritable | null {
    return this.#writer?.write(delivery, { packetId: 0, dup: false }) ?? null;
  }

  pump(): void {
    this.#endWait();
    if (this.#isPumping || this.#sink === null) return;
    // Synchronous as long as nothing has to be read or made durable first.
    if (!this.#needsResume && this.#sendReady()) {
      this.#onSent();
      return;
    }
    this.#isPumping = true;
    this.#drive().catch((error: unknown) => {
      this.#isPumping = false;
      this.#parts.onFailure(error);
    });
  }

  /** One at a time for the session, whatever connections come and go meanwhile. */
  async #drive(): Promise<void> {
    for (;;) {
      const sink = this.#sink;
      if (sink === null || (!this.#needsResume && this.#sendReady())) break;
      if (this.#needsResume) await this.#resume(sink);
      else await this.#sendWindow(sink);
    }
    this.#isPumping = false;
    this.#onSent();
  }

  /** Sends while it can be done at once; false when something has to be awaited first. */
  #sendReady(): boolean {
    for (;;) {
      const sink = this.#sink;
      const delivery = this.#queue.peek();
      if (delivery === undefined && this.#inflight.size === 0) this.#receives = null;
      if (delivery === undefined || sink === null || !this.#hasRoom(sink)) return true;
      if (delivery.publication === null || this.#writesDown(delivery)) return false;
      this.#queue.take();
      this.#write(delivery, { packetId: this.#inflight.launch(delivery), dup: false });
    }
  }

  /** Its packet identifier has to be durable before it leaves. */
  #writesDown({ qos, owner }: Delivery): boolean {
    return qos === 2 && (this.#parts.journal !== null || owner?.isKept === true);
  }

  #hasRoom(sink: FrameSink): boolean {
    return this.#inflight.size < this.#windowSize && sink.backlogBytes <= this.#limits.output_bytes;
  }

  /** A window's worth: read what has to be read, make identifiers durable, then write in order. */
  async #sendWindow(sink: FrameSink): Promise<void> {
    const loaded = await this.#queue.takeLoaded({
      count: this.#windowSize - this.#inflight.size,
      bytesMax: this.#limits.output_bytes,
      onLost: (delivery) => this.#books.lose(delivery),
    });
    if (this.#isAbandoned) {
      for (const delivery of loaded) this.#books.giveUp(delivery);
      return;
    }
    const launched = loaded
      .filter((one) => this.#isLeaving(one))
      .map((delivery) => {
        const packetId = this.#inflight.launch(delivery);
        if (delivery.qos === 2) this.#books.launched(packetId, delivery);
        return { packetId, delivery };
      });
    const noted = loaded.find((delivery) => this.#writesDown(delivery));
    if (noted !== undefined) await (this.#parts.journal ?? noted.owner)?.commit();
    // After a reconnect in between they go out with what else is in flight.
    if (this.#sink !== sink || this.#needsResume) return;
    for (const { packetId, delivery } of launched) {
      if (this.#inflight.has(packetId)) this.#write(delivery, { packetId, dup: false });
    }
  }

  /** False when it was withheld. */
  #isLeaving(delivery: Delivery): boolean {
    if (this.#isReceivable(delivery)) return true;
    this.#books.withhold(delivery);
    return false;
  }

  #isReceivable({ publication }: Delivery): boolean {
    const receives = this.#receives;
    return receives === null || publication === null || receives(publication.topic);
  }

  async #resume(sink: FrameSink): Promise<void> {
    this.#needsResume = false;
    if (this.#inflight.size === 0) return;
    try {
      await this.#resend(sink);
    } catch (error) {
      this.#needsResume = true;
      throw error;
    }
  }

  /** Sends again, in order, what an earlier connection left in flight. */
  async #resend(sink: FrameSink): Promise<void> {
    await this.#parts.journal?.commit();
    const sent: [number, Inflight][] = [];
    for (const [packetId, inflight] of this.#inflight.entries()) {
      const { delivery } = inflight;
      const isWhole = inflight.isReleased || delivery === null;
      const loaded = isWhole ? null : await this.#loadBeside(sent, { delivery, sink });
      if (this.#sink !== sink) return;
      // A late acknowledgement may have come meanwhile.
      if (this.#inflight.get(packetId) !== inflight) continue;
      if (inflight.isReleased) sink.send(ackFrame(ackHeads.pubrel, packetId));
      else if (loaded === null) this.#lose(delivery, packetId);
      else if (this.#isResent(sink, packetId, { inflight, loaded }))
        sent.push([packetId, inflight]);
    }
  }

  /** False when it was taken back. */
  #isResent(
    sink: FrameSink,
    packetId: number,
    { inflight, loaded }: { readonly inflight: Inflight; readonly loaded: Delivery },
  ): boolean {
    const isReceivable = this.#isReceivable(loaded);
    // [MQTT-3.3.1-1] a PUBLISH that may have been sent before carries DUP.
    if (isReceivable) this.#write(loaded, { packetId, dup: true });
    else this.#takeBack(sink, packetId, inflight);
    return isReceivable;
  }

  async #loadBeside(
    sent: readonly [number, Inflight][],
    { delivery, sink }: { readonly delivery: Delivery; readonly sink: FrameSink },
  ): Promise<Delivery | null> {
    await this.#roomBeside(sent, sink);
    return this.#queue.load(delivery);
  }

  /** Resolves when the client takes another PUBLISH beside these [MQTT-3.3.4-9], or is gone: it may
   * take fewer than on the connection before. */
  async #roomBeside(sent: readonly [number, Inflight][], sink: FrameSink): Promise<void> {
    while (this.#sink === sink && sent.length >= this.#windowSize) {
      const open = sent.filter(([packetId, one]) => this.#inflight.get(packetId) === one);
      if (open.length < this.#windowSize) return;
      await new Promise<void>((resolve) => {
        this.#endWait = resolve;
      });
    }
  }

  /** It may have reached the client before: of QoS 2 the handshake has to end, or the identifier would
   * stand for it there for ever. */
  #takeBack(sink: FrameSink, packetId: number, inflight: Inflight): void {
    const { delivery } = inflight;
    if (inflight.qos === 2) {
      inflight.isReleased = true;
      this.#parts.journal?.released(packetId, delivery?.sequence ?? 0, delivery?.owner?.name);
      sink.send(ackFrame(ackHeads.pubrel, packetId));
      return;
    }
    this.#inflight.release(packetId);
    this.#books.drop(delivery, 'not-authorized', packetId);
  }

  #lose(delivery: Delivery | null, packetId: number): void {
    this.#inflight.release(packetId);
    this.#books.lose(delivery, packetId);
  }

  #write(delivery: Delivery, at: { packetId: number; dup: boolean }): void {
    const fault = this.#writer?.write(delivery, at) ?? null;
    if (fault === null) return;
    this.#inflight.release(at.packetId);
    this.#books.drop(delivery, fault, at.packetId);
  }
}

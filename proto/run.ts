/**
 * Publications of one topic, QoS and client that came one behind the other, kept as the PUBLISH
 * frames that they came in. The message path hands such a run on whole: the log keeps its bytes, a
 * subscriber of the same protocol version gets them with new packet identifiers. Only who needs a
 * single publication takes it apart.
 *
 * Frames of a run have no MQTT 5 properties and are not retained; what has either goes alone.
 * Source: MQTT 3.1.1 and MQTT 5, section 3.3.
 */
import type { Publication, Qos } from '../base/publication.ts';
import { writeVariable } from './variable-byte-integer.ts';

/** Layout of the frames: 4 for MQTT 3.1 and 3.1.1; 5 has a byte for the length of its properties. */
export type FrameForm = 4 | 5;

/** What the frames of a run have in common. */
export interface RunHead {
  readonly topic: string;
  /** Bytes of the topic as UTF-8. */
  readonly topicBytes: number;
  readonly qos: Qos;
  readonly form: FrameForm;
  readonly count: number;
  /** When they were accepted, milliseconds since the epoch. */
  readonly acceptedAt: number;
  /** As of a publication; absent: entered here. */
  readonly origin?: string;
}

/** Where the frames are: `buffer[start, end)`. */
export interface FrameRange {
  readonly buffer: Buffer;
  readonly start: number;
  readonly end: number;
}

export class Run implements RunHead {
  readonly topic: string;
  readonly topicBytes: number;
  readonly qos: Qos;
  readonly form: FrameForm;
  readonly count: number;
  readonly acceptedAt: number;
  readonly origin: string;
  #frames: FrameRange;
  /** The same in other forms and at other QoS, by `variantOf`; made when first asked for. */
  #variants: (FrameRange | undefined)[] | null = null;

  constructor(head: RunHead, frames: FrameRange) {
    this.topic = head.topic;
    this.topicBytes = head.topicBytes;
    this.qos = head.qos;
    this.form = head.form;
    this.count = head.count;
    this.acceptedAt = head.acceptedAt;
    this.origin = head.origin ?? '';
    this.#frames = frames;
  }

  get frames(): FrameRange {
    return this.#frames;
  }

  get bytes(): number {
    return this.#frames.end - this.#frames.start;
  }

  /** The same bytes have been copied elsewhere: the chunk that they came in is let go. */
  moveTo(frames: FrameRange): void {
    this.#frames = frames;
  }

  /** In this form and at this QoS or a lower one; packet identifiers are for the caller to set. */
  framesFor(form: FrameForm, qos: Qos): FrameRange {
    if (form === this.form && qos === this.qos) return this.#frames;
    this.#variants ??= new Array(6);
    const variant = (form === 5 ? 3 : 0) + qos;
    let frames = this.#variants[variant];
    if (frames === undefined) {
      frames = this.#converted(form, qos);
      this.#variants[variant] = frames;
    }
    return frames;
  }

  /** Of every frame, in order; for QoS 1 and 2. */
  packetIds(): number[] {
    const ids: number[] = [];
    const walk = new FrameWalk(this.#frames, this.topicBytes);
    while (walk.next()) ids.push(walk.packetId);
    return ids;
  }

  /** Each publication by itself, in order; payloads are views. */
  publications(): Publication[] {
    const publications: Publication[] = [];
    const walk = new FrameWalk(this.#frames, this.topicBytes);
    while (walk.next()) {
      publications.push({
        topic: this.topic,
        payload: this.#frames.buffer.subarray(walk.payloadStart(this.qos, this.form), walk.end),
        qos: this.qos,
        retain: false,
        properties: null,
        acceptedAt: this.acceptedAt,
        origin: this.origin,
      });
    }
    return publications;
  }

  #converted(form: FrameForm, qos: Qos): FrameRange {
    const source = this.#frames.buffer;
    const headBytes = 2 + this.topicBytes;
    const extra = (qos > 0 ? 2 : 0) + (form === 5 ? 1 : 0);
    // A remaining length has four bytes at most, and the other fields are known.
    const bytes = Buffer.allocUnsafe(this.bytes + this.count * 4);
    const walk = new FrameWalk(this.#frames, this.topicBytes);
    let at = 0;
    while (walk.next()) {
      const payloadStart = walk.payloadStart(this.qos, this.form);
      bytes[at++] = 0x30 | (qos << 1);
      at = writeVariable(bytes, at, headBytes + extra + walk.end - payloadStart);
      at += source.copy(bytes, at, walk.bodyStart, walk.bodyStart + headBytes);
      if (qos > 0) at += 2;
      if (form === 5) bytes[at++] = 0;
      at += source.copy(bytes, at, payloadStart, walk.end);
    }
    return { buffer: bytes, start: 0, end: at };
  }
}

/** Goes from frame to frame of a range that is known to be sound. */
export class FrameWalk {
  start = 0;
  bodyStart = 0;
  end: number;
  readonly #buffer: Buffer;
  readonly #last: number;
  readonly #topicBytes: number;

  constructor(range: FrameRange, topicBytes: number) {
    this.#buffer = range.buffer;
    this.end = range.start;
    this.#last = range.end;
    this.#topicBytes = topicBytes;
  }

  next(): boolean {
    if (this.end >= this.#last) return false;
    const buffer = this.#buffer;
    let at = this.end + 1;
    let byte = buffer[at++] as number;
    let length = byte & 0x7f;
    for (let shift = 7; byte >= 0x80; shift += 7) {
      byte = buffer[at++] as number;
      length |= (byte & 0x7f) << shift;
    }
    this.start = this.end;
    this.bodyStart = at;
    this.end = at + length;
    return true;
  }

  /** Where the packet identifier stands, in frames of QoS 1 and 2. */
  get packetIdAt(): number {
    return this.bodyStart + 2 + this.#topicBytes;
  }

  get packetId(): number {
    const at = this.packetIdAt;
    return ((this.#buffer[at] as number) << 8) | (this.#buffer[at + 1] as number);
  }

  payloadStart(qos: Qos, form: FrameForm): number {
    return this.packetIdAt + (qos > 0 ? 2 : 0) + (form === 5 ? 1 : 0);
  }
}

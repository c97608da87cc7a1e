/**
 * Whether publishers must pause: too much waits for the disk, or the spool is at its bound. Relief
 * comes below the mark at which it began, so that it does not flutter.
 */

/** Bytes waiting for the disk past which publishers pause; relief at half of it. */
const waitingBytesMax = 8 * 1024 * 1024;

/** The spool is full at its bound, and has room again below this part of it. */
const reliefPart = 0.95;

export class Saturation {
  readonly #bytesMax: number;
  #isOn = false;
  isFull = false;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get isOn(): boolean {
    return this.#isOn;
  }

  /** Judges anew; answers what changed. */
  update(bytes: number, waitingBytes: number): 'began' | 'ended' | null {
    const wasOn = this.#isOn;
    this.isFull = bytes > this.#bytesMax * (wasOn ? reliefPart : 1);
    this.#isOn = this.isFull || waitingBytes > (wasOn ? waitingBytesMax / 2 : waitingBytesMax);
    if (this.#isOn === wasOn) return null;
    return wasOn ? 'ended' : 'began';
  }
}

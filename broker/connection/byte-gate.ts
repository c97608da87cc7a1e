/**
 * The door before CONNECT: a budget of bytes and of time, spent before anybody has said who they
 * are. The first byte tells whether this is MQTT at all.
 */
import { connectBytesMax } from '../../base/limits.ts';
import type { CloseReason } from './connection-port.ts';
import type { FrameScanner } from './frame-scanner.ts';
import { packetTypes } from './frames.ts';

export class ByteGate {
  readonly #ms: number;
  readonly #onTimeout: () => void;
  #timer: NodeJS.Timeout | null = null;
  #bytes = 0;

  constructor(ms: number, onTimeout: () => void) {
    this.#ms = ms;
    this.#onTimeout = onTimeout;
    this.resume();
  }

  /** Bytes that came before the client was let through; why they end the connection, or null. */
  take(chunk: Buffer): CloseReason | null {
    const before = this.#bytes;
    this.#bytes += chunk.length;
    if (before === 0 && (chunk[0] as number) >> 4 !== packetTypes.connect) return 'protocol-error';
    // This chunk may hold a small CONNECT and much that a hasty client sent right behind it.
    return before > connectBytesMax ? 'connect-too-large' : null;
  }

  /** [MQTT-3.1.0-1] the first packet is CONNECT. */
  judge(frame: FrameScanner): CloseReason | null {
    if (frame.type !== packetTypes.connect) return 'protocol-error';
    return frame.end - frame.start > connectBytesMax ? 'connect-too-large' : null;
  }

  /** The time begins anew. */
  resume(): void {
    this.close();
    this.#timer = setTimeout(this.#onTimeout, this.#ms);
  }

  close(): void {
    if (this.#timer === null) return;
    clearTimeout(this.#timer);
    // It would be kept as long as the connection.
    this.#timer = null;
  }
}

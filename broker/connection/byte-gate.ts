/**
 * The door before CONNECT: a budget of bytes and of time, spent before anybody has said who they
 * are. The first byte tells whether this is MQTT at all.
 */
import { connectBytesMax, connectMs } from '../../base/limits.ts';
import type { CloseReason } from './connection-port.ts';
import type { FrameScanner } from './frame-scanner.ts';
import { packetTypes } from './frames.ts';
import { connectFault } from './packet-check.ts';

export class ByteGate {
  readonly #timer: NodeJS.Timeout;
  #bytes = 0;

  constructor(onTimeout: () => void) {
    this.#timer = setTimeout(onTimeout, connectMs);
  }

  /** Bytes that came before CONNECT was whole; why they end the connection, or null. */
  take(chunk: Buffer): CloseReason | null {
    const isFirst = this.#bytes === 0;
    this.#bytes += chunk.length;
    if (isFirst && (chunk[0] as number) >> 4 !== packetTypes.connect) return 'protocol-error';
    return this.#bytes > connectBytesMax ? 'connect-too-large' : null;
  }

  /** [MQTT-3.1.0-1] the first packet is CONNECT. */
  judge(scanner: FrameScanner): CloseReason | null {
    if (scanner.type !== packetTypes.connect) return 'protocol-error';
    if (scanner.end - scanner.start > connectBytesMax) return 'connect-too-large';
    return connectFault(scanner);
  }

  close(): void {
    clearTimeout(this.#timer);
  }
}

/** What a client's socket tells. */
import type { Duplex } from 'node:stream';
import type { CloseReason } from './connection-port.ts';
import { endInTurn } from './end-in-turn.ts';

export interface SocketListener {
  take(chunk: Buffer): void;
  /** The client sends no more. */
  inputEnded(): void;
  end(reason: CloseReason): void;
}

export function listenTo(socket: Duplex, listener: SocketListener): void {
  socket.on('data', (chunk: Buffer) => listener.take(chunk));
  socket.on('end', () => listener.inputEnded());
  socket.on('error', () => endInTurn(() => listener.end('socket-error')));
  socket.on('close', () => endInTurn(() => listener.end('closed-by-client')));
}

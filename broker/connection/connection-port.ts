/** What a connection asks of its surroundings, and why it may end. */
import type { Connection } from './connection.ts';
import type { FrameScanner } from './frame-scanner.ts';

/** Words of logs and metrics. */
export type CloseReason =
  | 'closed-by-client'
  | 'disconnected'
  | 'connect-timeout'
  | 'connect-too-large'
  | 'malformed'
  | 'protocol-error'
  | 'protocol-version'
  | 'packet-too-large'
  | 'not-authorized'
  | 'refused'
  | 'taken-over'
  | 'slow-reader'
  | 'keep-alive-timeout'
  | 'receive-maximum-exceeded'
  | 'socket-error'
  | 'overloaded'
  | 'shutting-down';

/** Takes the frames of the message flow. `body` of the frame begins at `scanner.bodyStart`. */
export interface FlowSink {
  /** Null when all is well; else why the connection must close. */
  frame(scanner: FrameScanner): CloseReason | null;
  /** Whether this frame must wait, because it needs the spool and the spool is behind. */
  mustWait(scanner: FrameScanner): boolean;
  /** The socket takes bytes again. */
  drained(): void;
}

/** What the connection asks of its surroundings. */
export interface ConnectionHooks {
  /** The input made progress: keep alive starts anew. */
  refreshKeepAlive(connection: Connection): void;
  /** Called once, with the reason that came first. */
  closed(connection: Connection, reason: CloseReason): void;
}

export interface ConnectionOptions {
  /** "mqtt", "mqtts", "ws" or "wss". */
  readonly listener: string;
  readonly remoteAddress: string;
  readonly packetBytesMax: number;
  /** Bytes that the client has not taken past which it is not read either. */
  readonly backlogBytesMax: number;
}

/** The reason in an error that Aedes ends a connection with. */
export function reasonOf(error: Error): CloseReason {
  if (error.message === 'keep alive timeout') return 'keep-alive-timeout';
  return error.message.startsWith('connect did not') ? 'connect-timeout' : 'protocol-error';
}

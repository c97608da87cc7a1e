/** What a connection asks of its surroundings, and why it may end. */
import type { Identity } from '../../base/identity.ts';
import type { CertificateFacts } from '../auth/authenticator.ts';
import type { EnhancedAuthenticate } from '../authenticate.ts';
import type { ServerTerms } from '../connect-request.ts';
import type { Connection } from './connection.ts';
import type { FrameScanner } from './frame-scanner.ts';
import type { Rates } from './input-valve.ts';

/** Words of logs and metrics. */
export type CloseReason =
  | 'closed-by-client'
  | 'disconnected'
  /** By a DISCONNECT that leaves the will in force. */
  | 'disconnected-with-will'
  | 'connect-timeout'
  | 'connect-too-large'
  | 'malformed'
  | 'protocol-error'
  | 'protocol-version'
  | 'packet-too-large'
  | 'payload-format-invalid'
  | 'authentication-method'
  | 'authentication-failed'
  /** What the client had proved is worth nothing any more. */
  | 'credentials-expired'
  | 'not-authorized'
  | 'refused'
  | 'taken-over'
  | 'slow-reader'
  | 'keep-alive-timeout'
  | 'receive-maximum-exceeded'
  | 'topic-alias-invalid'
  | 'topic-name-invalid'
  | 'quota-exceeded'
  | 'too-many-filters'
  /** Too many connections have not been let in, and it has been silent for the longest. */
  | 'too-many-connecting'
  | 'socket-error'
  | 'overloaded'
  | 'shutting-down';

/** Takes the frames of the message flow. `body` of the frame begins at `scanner.bodyStart`. */
export interface FlowSink {
  /** Null when all is well; else why the connection must close. */
  frame(scanner: FrameScanner): CloseReason | null;
  /** Whether this frame must wait, because it needs the spool and the spool is behind. */
  mustWait(scanner: FrameScanner): boolean;
  /** PUBLISH that came over this connection so far. */
  readonly receivedCount: number;
  /** The socket takes bytes again. */
  drained(): void;
}

/** What the client can take; of MQTT 3.1 and 3.1.1 nothing is said, so everything. */
export interface ConnectionTerms {
  /** PUBLISH of QoS 1 and 2 that it takes without having acknowledged them. */
  readonly receiveMaximum: number;
  /** Bytes of the largest packet that it takes; 0 for any. */
  readonly packetBytesMax: number;
  /** Topic aliases that it keeps. */
  readonly topicAliasMaximum: number;
  /** Reason strings and user properties may be sent with any packet. */
  readonly requestProblemInformation: boolean;
}

/** Bytes of MQTT. */
export interface Traffic {
  readonly received: number;
  readonly sent: number;
}

export const termsOf311: ConnectionTerms = {
  receiveMaximum: 65_535,
  packetBytesMax: 0,
  topicAliasMaximum: 0,
  requestProblemInformation: false,
};

/** What the connection asks of its surroundings. */
export interface ConnectionHooks {
  /** A whole packet for Aedes. */
  pass(connection: Connection, frame: Buffer): void;
  /** The input made progress: keep alive starts anew. */
  refreshKeepAlive(connection: Connection): void;
  /** Whether its session has the subscription now. */
  isSubscribed(connection: Connection, filter: string): boolean;
  /** Runs `then` when what the client has sent to be retained is there for who subscribes. */
  whenRetained(connection: Connection, then: () => void): void;
  /** The client's last word: seconds that its session is kept from now on. */
  keepSession(connection: Connection, expirySeconds: number): void;
  /** Called once, with the reason that came first. */
  closed(connection: Connection, reason: CloseReason): void;
  /** Called once, in a later turn: Aedes is to let go of it. */
  gone(connection: Connection): void;
}

export interface ConnectionOptions {
  /** "mqtt", "mqtts", "ws" or "wss". */
  readonly listener: string;
  readonly remoteAddress: string;
  /** Of the client, verified; null for none. */
  readonly certificate: CertificateFacts | null;
  /** What MQTT 5 clients are told. */
  readonly server: ServerTerms;
  readonly enhanced: EnhancedAuthenticate;
  /** The client has proved itself anew; false when it may not go on as whom it proved. */
  readonly renewed: (connection: Connection, identity: Identity) => boolean;
  /** Filters of one packet. */
  readonly filtersMax: number;
  /** Time that CONNECT has. */
  readonly connectMs: number;
  /** Lets CONNECT in when its turn has come; it may be turned away before. */
  readonly admitInTurn: (connection: Connection, letIn: () => void) => void;
  /** Null for no bound. */
  readonly rates: Rates | null;
  /** Bytes that the client has not taken past which it is not read either. */
  readonly backlogBytesMax: number;
}

/** The reason in an error that Aedes ends a connection with; without one, it is of Aedes's own will. */
export function reasonOf(error: Error | undefined, isConnecting: boolean): CloseReason {
  if (error === undefined) return isConnecting ? 'refused' : 'disconnected';
  if (error.message === 'keep alive timeout') return 'keep-alive-timeout';
  return error.message.startsWith('connect did not') ? 'connect-timeout' : 'protocol-error';
}

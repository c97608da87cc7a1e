/**
 * What comes before Aedes may have CONNECT: the budget of bytes and time, the choice of the dialect,
 * and enhanced authentication, which a client may begin anew later.
 * Source: MQTT 3.1.1 and MQTT 5, section 3.1; MQTT 5 section 4.12.
 */
import { AuthDialogue } from '../mqtt5/auth.ts';
import { readConnect } from '../mqtt5/connect.ts';
import { bareRefusal, Dialect5 } from '../mqtt5/dialect.ts';
import { closeReasonOf } from '../mqtt5/disconnect.ts';
import { reasonCodes } from '../mqtt5/reason-codes.ts';
import { ByteGate } from './byte-gate.ts';
import type { Connection } from './connection.ts';
import type { CloseReason, ConnectionOptions } from './connection-port.ts';
import type { FrameScanner } from './frame-scanner.ts';
import { connackCodes, connackFrame, packetTypes } from './frames.ts';
import { connectLevel, isConnectSound } from './packet-check.ts';

export class Handshake {
  readonly #connection: Connection;
  readonly #options: ConnectionOptions;
  readonly #gate: ByteGate;
  #auth: AuthDialogue | null = null;
  #hasPassed = false;

  constructor(connection: Connection, options: ConnectionOptions) {
    this.#connection = connection;
    this.#options = options;
    this.#gate = new ByteGate(options.connectMs, () => connection.end('connect-timeout'));
  }

  /** Aedes has CONNECT or is about to, and what follows waits for CONNACK. */
  get hasPassed(): boolean {
    return this.#hasPassed;
  }

  /** A step of authentication is being decided. */
  get isBusy(): boolean {
    return this.#auth?.isBusy ?? false;
  }

  /** Bytes of the client; why they end the connection, or null. */
  admit(chunk: Buffer): CloseReason | null {
    return this.#hasPassed ? null : this.#gate.take(chunk);
  }

  /** A frame before CONNACK. */
  take(frame: FrameScanner): CloseReason | null {
    if (this.#auth !== null) return this.#takeAuth(frame, this.#auth);
    const fault = this.#gate.judge(frame);
    if (fault !== null) return fault;
    const level = connectLevel(frame);
    if (level === 5) return this.#takeConnect5(frame);
    // [MQTT-3.1.2-2] a level that is not known is answered.
    if (level >= 0 && (level < 3 || level > 5)) {
      this.#connection.reply(connackFrame(connackCodes.unacceptableProtocol));
      return 'protocol-version';
    }
    if (!isConnectSound(frame)) return 'malformed';
    const bytes = frame.buffer.subarray(frame.start, frame.end);
    this.#pass(level === 3 ? withoutUnusedBits(bytes, frame.bodyStart - frame.start) : bytes);
    return null;
  }

  /** AUTH of a client that is connected; why it ends the connection, or null. */
  reauthenticate(frame: FrameScanner): CloseReason | null {
    if (this.#auth === null) return 'protocol-error';
    const fault = this.#auth.take(frame);
    return fault === null ? null : closeReasonOf(fault);
  }

  close(): void {
    this.#gate.close();
  }

  /** The connection is over. */
  end(): void {
    this.#gate.close();
    this.#auth?.close();
  }

  #pass(frame: Buffer): void {
    this.#hasPassed = true;
    // Waiting for its turn is not the client's doing, and has a bound of its own.
    this.#gate.close();
    this.#options.admitInTurn(this.#connection, () => {
      this.#gate.resume();
      this.#connection.pass(frame);
    });
  }

  #takeConnect5(frame: FrameScanner): CloseReason | null {
    const connect = readConnect(frame);
    if (typeof connect === 'number') {
      this.#connection.reply(bareRefusal(connect));
      return closeReasonOf(connect);
    }
    const dialect = new Dialect5(connect, this.#options.server);
    const { authenticationMethod } = dialect;
    if (authenticationMethod !== null) return this.#authenticate(dialect, authenticationMethod);
    this.#connection.speak(dialect);
    this.#pass(dialect.connect311());
    return null;
  }

  #authenticate(dialect: Dialect5, method: string): CloseReason | null {
    const connection = this.#connection;
    const { clientId, username } = dialect.request;
    this.#auth = AuthDialogue.begin(
      this.#options.enhanced,
      { method, clientId, username, remoteAddress: connection.remoteAddress },
      {
        data: dialect.authenticationData,
        outcome: {
          answer: (reasonCode, data) => {
            connection.reply(dialect.auth(reasonCode, data));
            connection.goOn();
          },
          accepted: (data, proven) => {
            dialect.authenticated(data, proven);
            connection.speak(dialect);
            this.#pass(dialect.connect311());
          },
          renewed: (identity) => this.#options.renewed(connection, identity),
          refused: (reasonCode) => {
            const { isConnecting } = connection;
            if (isConnecting) connection.reply(dialect.refusal(reasonCode, ''));
            connection.end(isConnecting ? 'authentication-failed' : 'not-authorized');
          },
        },
      },
    );
    if (this.#auth !== null) return null;
    const { badAuthenticationMethod } = reasonCodes;
    connection.reply(dialect.refusal(badAuthenticationMethod, 'The method is not offered.'));
    return 'authentication-method';
  }

  /** Until CONNACK there are AUTH and DISCONNECT alone [MQTT-3.1.2-30]. */
  #takeAuth(frame: FrameScanner, auth: AuthDialogue): CloseReason | null {
    if (frame.type === packetTypes.disconnect) return 'disconnected';
    const fault = frame.type === packetTypes.auth ? auth.take(frame) : reasonCodes.protocolError;
    if (fault === null) return null;
    this.#connection.reply(bareRefusal(fault));
    return closeReasonOf(fault);
  }
}

/** MQTT 3.1 does not use the flags of CONNECT's fixed header, nor the last of its own: a client may
 * leave anything there, which is a fault in MQTT 3.1.1 alone. */
function withoutUnusedBits(frame: Buffer, bodyStart: number): Buffer {
  const bytes = Buffer.from(frame);
  const flagsAt = bodyStart + 2 + bytes.readUInt16BE(bodyStart) + 1;
  bytes[0] = packetTypes.connect << 4;
  bytes[flagsAt] = (bytes[flagsAt] as number) & 0xfe;
  return bytes;
}

/**
 * One client connection: the object that Aedes takes for its socket. Bytes from the client are cut
 * into frames here; the message flow (PUBLISH and its acknowledgements) goes to Trunkline's inbox
 * and outbox, everything else to Aedes, unchanged and in order. What both write leaves through one
 * output in the order in which it was written.
 *
 * Life: `connecting` until CONNACK success: only the CONNECT frame goes in, behind a budget of
 * bytes and time. Then `open`. While Aedes answers a SUBSCRIBE or UNSUBSCRIBE, and while the spool
 * is behind, input is held. `closed` at the end.
 */
import { EventEmitter } from 'node:events';
import type { Duplex } from 'node:stream';
import { ByteGate } from './byte-gate.ts';
import {
  type CloseReason,
  type ConnectionHooks,
  type ConnectionOptions,
  type FlowSink,
  reasonOf,
} from './connection-port.ts';
import { FrameScanner } from './frame-scanner.ts';
import { connackCodes, connackFrame, packetTypes } from './frames.ts';
import { Output } from './output.ts';
import {
  completeSuback,
  isUnsubscribeSound,
  type RequestedFilter,
  requestedFilters,
} from './packet-check.ts';

/** Time that a closing socket has to take the last bytes, such as a CONNACK that refuses. */
const lingerMs = 1_000;

/** Keep alive is refreshed at most this often, not per packet. */
const keepAliveStepMs = 250;

export class Connection extends EventEmitter {
  readonly listener: string;
  readonly remoteAddress: string;
  /** Set by Aedes. */
  client: unknown = null;
  /** Whether CONNACK says that the session was there before. */
  sessionPresent = false;
  readonly #socket: Duplex;
  readonly #hooks: ConnectionHooks;
  readonly #scanner: FrameScanner;
  readonly #output: Output;
  readonly #gate: ByteGate;
  #flow: FlowSink | null = null;
  #state: 'connecting' | 'open' | 'closed' = 'connecting';
  #hasConnect = false;
  #isAwaitingAck = false;
  /** Of the SUBSCRIBE that Aedes is answering. */
  #requested: readonly RequestedFilter[] = [];
  /** The client sends no more; what it sent before still counts. */
  #hasInputEnded = false;
  /** The scanner's present frame has not been dispatched. */
  #hasFrame = false;
  #isPaused = false;
  #keepAliveAt = 0;
  #toAedes: Buffer[] = [];
  #fromAedes: Buffer[] = [];
  #closeReason: CloseReason | null = null;

  constructor(socket: Duplex, hooks: ConnectionHooks, options: ConnectionOptions) {
    super();
    this.#socket = socket;
    this.#hooks = hooks;
    this.listener = options.listener;
    this.remoteAddress = options.remoteAddress;
    this.#scanner = new FrameScanner(options.packetBytesMax);
    this.#output = new Output(socket, {
      backlogBytesMax: options.backlogBytesMax,
      onDrained: () => {
        this.#flow?.drained();
        this.release();
      },
    });
    this.#gate = new ByteGate(() => this.end('connect-timeout'));
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('end', () => {
      this.#hasInputEnded = true;
      if (!this.#isHeld()) this.end('closed-by-client');
    });
    socket.on('error', () => this.end('socket-error'));
    socket.on('close', () => this.end('closed-by-client'));
  }

  get destroyed(): boolean {
    return this.#state === 'closed';
  }

  get isConnecting(): boolean {
    return this.#state === 'connecting';
  }

  /** Input waits for something here, so silence is not the client's. */
  get isPaused(): boolean {
    return this.#isPaused;
  }

  get backlogBytes(): number {
    return this.#output.backlogBytes;
  }

  blockedMs(now: number): number {
    return this.#output.blockedMs(now);
  }

  /** CONNACK success has been written: from here on the message flow is ours. */
  open(flow: FlowSink): void {
    if (this.#state !== 'connecting') return;
    this.#gate.close();
    this.#state = 'open';
    this.#flow = flow;
    this.emit('opened');
    this.#pump();
  }

  /** Writes frames of ours, after what Aedes wrote before. */
  send(bytes: Buffer): void {
    if (this.#state === 'closed') return;
    this.#sealAedes();
    this.#output.append(bytes);
  }

  /** The spool has room again. */
  release(): void {
    if (this.#state === 'open' && this.#isPaused) this.#pump();
  }

  /** Writes what is pending and closes; the first reason stands. */
  end(reason: CloseReason): void {
    this.#closeReason ??= reason;
    this.destroy();
  }

  // What follows is the part of a stream that Aedes uses.

  /** The next bytes for Aedes's parser, or null. */
  read(): Buffer | null {
    return this.#toAedes.shift() ?? null;
  }

  /** Aedes writes a packet in several small pieces; `cork` marks the start of each. */
  write(bytes: Buffer): boolean {
    if (this.#state === 'closed') return false;
    this.#fromAedes.push(bytes);
    // Never a reason for Aedes to wait: its packets are small and few.
    return true;
  }

  cork(): void {
    this.#sealAedes();
  }

  uncork(): void {
    this.#sealAedes();
  }

  destroy(error?: Error): this {
    if (this.#state === 'closed') return this;
    this.#closeReason ??= error === undefined ? 'disconnected' : reasonOf(error);
    this.#sealAedes();
    this.#output.flush();
    this.#state = 'closed';
    this.#gate.close();
    this.#output.discard();
    this.#socket.end();
    this.#socket.resume();
    const linger = setTimeout(() => this.#socket.destroy(), lingerMs);
    this.#socket.once('close', () => clearTimeout(linger));
    this.#hooks.closed(this, this.#closeReason);
    // Not in the caller's stack: Aedes is often in the middle of a step.
    setImmediate(() => this.emit('close'));
    return this;
  }

  #take(chunk: Buffer): void {
    if (this.#state === 'closed') return;
    const fault = this.#hasConnect ? null : this.#gate.take(chunk);
    if (fault !== null) {
      this.end(fault);
      return;
    }
    this.#scanner.push(chunk);
    this.#pump();
  }

  #pump(): void {
    let next = this.#step();
    while (next === 'again' && !this.destroyed) next = this.#step();
    if (this.destroyed) return;
    const { fault } = this.#scanner;
    if (fault !== null) this.end(fault === 'too-large' ? 'packet-too-large' : 'malformed');
    else if (this.#hasInputEnded && !this.#isHeld()) this.end('closed-by-client');
    else this.#setPaused(next === 'held');
  }

  /** Deals with one frame. `held` when it must wait, `empty` when there is none. */
  #step(): 'again' | 'held' | 'empty' {
    // A client that does not read its answers must not ask for more of them without bound.
    if (this.#isHeld() || this.#output.isFull) return 'held';
    if (!this.#hasFrame && !this.#scanner.next()) return 'empty';
    this.#hasFrame = true;
    if (this.#flow?.mustWait(this.#scanner) === true) return 'held';
    this.#hasFrame = false;
    const fault = this.#state === 'connecting' ? this.#first() : this.#dispatch();
    if (fault !== null) this.end(fault);
    return 'again';
  }

  #isHeld(): boolean {
    return this.#state === 'connecting' ? this.#hasConnect : this.#isAwaitingAck;
  }

  #setPaused(isPaused: boolean): void {
    if (isPaused === this.#isPaused) return;
    this.#isPaused = isPaused;
    if (isPaused) this.#socket.pause();
    else this.#socket.resume();
  }

  /** [MQTT-3.1.0-1] the first packet is CONNECT. */
  #first(): CloseReason | null {
    const scanner = this.#scanner;
    const fault = this.#gate.judge(scanner);
    if (fault === 'protocol-version') this.send(connackFrame(connackCodes.unacceptableProtocol));
    if (fault !== null) return fault;
    this.#hasConnect = true;
    this.#passToAedes();
    return null;
  }

  #dispatch(): CloseReason | null {
    const scanner = this.#scanner;
    switch (scanner.type) {
      case packetTypes.publish:
      case packetTypes.puback:
      case packetTypes.pubrec:
      case packetTypes.pubrel:
      case packetTypes.pubcomp:
        this.#refreshKeepAlive();
        return this.#flow?.frame(scanner) ?? null;
      case packetTypes.subscribe: {
        const requested = requestedFilters(scanner);
        if (requested === null) return 'malformed';
        this.#requested = requested;
        return this.#askAedes();
      }
      case packetTypes.unsubscribe:
        return isUnsubscribeSound(scanner) ? this.#askAedes() : 'malformed';
      case packetTypes.pingreq:
      case packetTypes.disconnect:
        if (scanner.end > scanner.bodyStart) return 'malformed';
        this.#passToAedes();
        return null;
      default:
        return 'protocol-error'; // [MQTT-3.1.0-2] and packets that only a server sends
    }
  }

  /** What follows may depend on the subscription: it waits for the acknowledgement. */
  #askAedes(): null {
    this.#isAwaitingAck = true;
    this.#passToAedes();
    return null;
  }

  #refreshKeepAlive(): void {
    const now = performance.now();
    if (now - this.#keepAliveAt < keepAliveStepMs) return;
    this.#keepAliveAt = now;
    this.#hooks.refreshKeepAlive(this);
  }

  #passToAedes(): void {
    const { buffer, start, end } = this.#scanner;
    this.#toAedes.push(buffer.subarray(start, end));
    this.emit('readable');
  }

  /** Moves a packet that Aedes has written whole to the output. */
  #sealAedes(): void {
    if (this.#fromAedes.length === 0) return;
    const parts = this.#fromAedes;
    this.#fromAedes = [];
    const frame = parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
    const type = (frame[0] as number) >> 4;
    // [MQTT-3.2.2-2] Aedes does not know of the session that our store kept.
    if (type === packetTypes.connack && frame[3] === 0) frame[2] = this.sessionPresent ? 1 : 0;
    const isSuback = type === packetTypes.suback;
    this.#output.append(isSuback ? completeSuback(frame, this.#requested) : frame);
    if (!isSuback && type !== packetTypes.unsuback) return;
    this.#isAwaitingAck = false;
    setImmediate(() => {
      if (this.#state === 'open') this.#pump();
    });
  }
}

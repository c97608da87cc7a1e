/**
 * One client connection: the object that Aedes takes for its socket. Bytes from the client are cut
 * into frames here; the message flow (PUBLISH and its acknowledgements) goes to Trunkline's inbox
 * and outbox, the rest to Aedes, in order and in MQTT 3.1.1 whatever the client speaks: the dialect
 * translates. What both write leaves through one output in the order in which it was written.
 *
 * Life: `connecting` until CONNACK success: only CONNECT goes in, behind a budget of bytes and time,
 * and AUTH where the client proves itself by it. Then `open`, where input is held while Aedes answers
 * a SUBSCRIBE or UNSUBSCRIBE, while authentication takes a step, while the spool is behind, and when
 * the client has had its share of the turn. `closed` at the end.
 */
import { EventEmitter } from 'node:events';
import type { Duplex } from 'node:stream';
import type { FrameForm } from '../../proto/run.ts';
import type { CertificateFacts } from '../auth/authenticator.ts';
import type { ConnectRequest } from '../connect-request.ts';
import type { Dialect5 } from '../mqtt5/dialect.ts';
import { AedesLink } from './aedes-link.ts';
import {
  type CloseReason,
  type ConnectionHooks,
  type ConnectionOptions,
  type ConnectionTerms,
  type FlowSink,
  reasonOf,
  type Traffic,
  termsOf311,
} from './connection-port.ts';
import { Control } from './control.ts';
import type { Refusal } from './dialect.ts';
import { endSoftly } from './end-softly.ts';
import { FrameScanner } from './frame-scanner.ts';
import { packetTypes } from './frames.ts';
import { Handshake } from './handshake.ts';
import { InputValve } from './input-valve.ts';
import { KeepAliveStep } from './keep-alive-step.ts';
import { listenTo } from './listen-to.ts';
import { Output } from './output.ts';
import type { PendingSubscribe } from './request.ts';
import { Turn } from './turn.ts';

export class Connection extends EventEmitter {
  readonly listener: string;
  readonly remoteAddress: string;
  readonly certificate: CertificateFacts | null;
  /** Of Aedes. */
  client: unknown = null;
  /** Milliseconds since the epoch at which what the client proved is over; 0 for never. */
  expiresAt = 0;
  /** What CONNACK says of the session. */
  sessionPresent = false;
  /** Layout of PUBLISH: 4 for MQTT 3.1 and 3.1.1. */
  version: FrameForm = 4;
  terms: ConnectionTerms = termsOf311;
  /** What CONNECT asks for, in MQTT 5 and until it is answered; else null. */
  request: ConnectRequest | null = null;
  readonly #socket: Duplex;
  readonly #hooks: ConnectionHooks;
  readonly #scanner: FrameScanner;
  readonly #output: Output;
  readonly #handshake: Handshake;
  readonly #control: Control;
  readonly #aedes = new AedesLink();
  #flow: FlowSink | null = null;
  #state: 'connecting' | 'open' | 'closed' = 'connecting';
  /** The client sends no more; what it sent before still counts. */
  #hasInputEnded = false;
  /** The scanner's present frame has not been dispatched. */
  #hasFrame = false;
  readonly keepAlive = new KeepAliveStep();
  readonly #turn = new Turn();
  readonly #valve: InputValve;
  #closeReason: CloseReason | null = null;

  constructor(socket: Duplex, hooks: ConnectionHooks, options: ConnectionOptions) {
    super();
    this.#socket = socket;
    this.#hooks = hooks;
    this.listener = options.listener;
    this.remoteAddress = options.remoteAddress;
    this.certificate = options.certificate;
    this.#scanner = new FrameScanner(options.server.packetBytesMax);
    this.#output = new Output(socket, {
      backlogBytesMax: options.backlogBytesMax,
      onDrained: () => {
        this.#flow?.drained();
        this.release();
      },
    });
    this.#handshake = new Handshake(this, options);
    this.#control = new Control(this, hooks, options.filtersMax);
    this.#valve = new InputValve(socket, options.rates, () => this.goOn());
    listenTo(socket, {
      take: (chunk) => this.#take(chunk),
      inputEnded: () => {
        this.#hasInputEnded = true;
        this.goOn();
      },
      end: (reason) => this.end(reason),
    });
  }

  get destroyed(): boolean {
    return this.#state === 'closed';
  }

  get isConnecting(): boolean {
    return this.#state === 'connecting';
  }

  get isPaused(): boolean {
    return this.#valve.isPaused;
  }

  get subscribing(): PendingSubscribe | null {
    return this.#control.subscribing;
  }

  get backlogBytes(): number {
    return this.#output.backlogBytes;
  }

  /** Bytes of MQTT so far, both ways. */
  get traffic(): Traffic {
    return { received: this.#scanner.pushedBytes, sent: this.#output.appendedBytes };
  }

  blockedMs(now: number): number {
    return this.#output.blockedMs(now);
  }

  /** CONNACK success has been written: from here on the message flow is ours. */
  open(flow: FlowSink): void {
    if (this.#state !== 'connecting') return;
    this.#handshake.close();
    this.#state = 'open';
    this.#flow = flow;
    this.emit('opened');
    this.#pump();
  }

  /** Writes frames of ours, after what Aedes wrote before. */
  send(bytes: Buffer): void {
    this.sendRange(bytes, 0, bytes.length);
  }

  /** The same for `buffer[start, end)`, which must not change any more. */
  sendRange(buffer: Buffer, start: number, end: number): void {
    if (this.#state === 'closed') return;
    if (this.#aedes.hasOutput) this.#sealAedes();
    this.#output.appendRange(buffer, start, end);
  }

  /** The spool has room again. */
  release(): void {
    if (this.#state === 'open' && this.isPaused) this.#pump();
  }

  /** Answers CONNECT with a refusal and closes. */
  refuse(refusal: Refusal): void {
    this.reply(this.#control.dialect.refuse(refusal));
    this.end('refused');
  }

  /** Writes what is pending and closes; the first reason stands. */
  end(reason: CloseReason): void {
    this.#closeReason ??= reason;
    this.destroy();
  }

  /** The client speaks MQTT 5. This and the next three are for the connection's own parts. */
  speak(dialect: Dialect5): void {
    this.#control.dialect = dialect;
    this.version = dialect.form;
    this.terms = dialect.terms;
    this.request = dialect.request;
  }

  pass(frame: Buffer): void {
    if (this.#state === 'closed') return;
    this.#hooks.pass(this, frame);
  }

  /** A packet that can't be left out, and that the client can't take, ends the connection. */
  reply(frame: Buffer | null): void {
    if (frame === null) this.end('packet-too-large');
    else this.send(frame);
  }

  goOn(): void {
    if (this.#state !== 'closed') this.#pump();
  }

  // What follows is the part of a stream that Aedes uses.

  /** Aedes writes a packet in several small pieces; `cork` marks the start of each. */
  write(bytes: Buffer): boolean {
    if (this.#state === 'closed') return false;
    this.#aedes.write(bytes);
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
    this.#closeReason ??= reasonOf(error, this.isConnecting);
    this.#sealAedes();
    const { dialect } = this.#control;
    const farewell = this.#state === 'open' ? dialect.farewell(this.#closeReason) : null;
    if (farewell !== null) this.#output.append(farewell);
    this.#output.flush();
    this.#state = 'closed';
    this.#handshake.end();
    this.#valve.close();
    this.#output.discard();
    endSoftly(this.#socket);
    this.#hooks.closed(this, this.#closeReason);
    // Not in the caller's stack: Aedes is often in the middle of a step.
    setImmediate(() => {
      this.#hooks.gone(this);
      this.emit('close');
    });
    return this;
  }

  #take(chunk: Buffer): void {
    if (this.#state === 'closed') return;
    const fault = this.#handshake.admit(chunk);
    if (fault !== null) {
      this.end(fault);
      return;
    }
    if (this.#state === 'open' && this.keepAlive.isDue()) this.#hooks.refreshKeepAlive(this);
    this.#scanner.push(chunk);
    this.#pump();
  }

  #pump(): void {
    let next = this.#step();
    while (next === 'again' && !this.destroyed) next = this.#step();
    if (this.destroyed) return;
    const { fault } = this.#scanner;
    if (fault !== null) this.end(fault === 'too-large' ? 'packet-too-large' : 'malformed');
    else if (this.#hasInputEnded && next === 'empty') this.end('closed-by-client');
    else this.#valve.pause(next === 'held');
  }

  /** Deals with one frame. `held` when it must wait, `empty` when there is none. */
  #step(): 'again' | 'held' | 'empty' {
    // A client that does not read its answers must not ask for more of them without bound.
    if (this.#isHeld() || this.#output.isFull) return 'held';
    if (!this.#hasFrame && !this.#scanner.next()) return 'empty';
    this.#hasFrame = true;
    if (this.#flow?.mustWait(this.#scanner) === true) return 'held';
    if (this.#turn.isOver(this)) return 'held';
    this.#hasFrame = false;
    const { start } = this.#scanner;
    const fault = this.isConnecting ? this.#handshake.take(this.#scanner) : this.#dispatch();
    this.#turn.spend(this.#scanner.end - start);
    this.#valve.spend(this.#flow?.receivedCount ?? 0, this.#scanner.end - start);
    if (fault !== null) this.end(fault);
    return 'again';
  }

  #isHeld(): boolean {
    const { hasPassed, isBusy } = this.#handshake;
    return (
      isBusy ||
      this.#valve.isShut ||
      (this.#state === 'connecting' ? hasPassed : this.#control.isAwaiting)
    );
  }

  #dispatch(): CloseReason | null {
    const { type } = this.#scanner;
    // PUBLISH, PUBACK, PUBREC, PUBREL and PUBCOMP follow each other.
    const isFlow = type >= packetTypes.publish && type <= packetTypes.pubcomp;
    if (isFlow) return this.#flow?.frame(this.#scanner) ?? null;
    if (type === packetTypes.auth) return this.#handshake.reauthenticate(this.#scanner);
    this.#turn.spendOnControl();
    return this.#control.take(this.#scanner);
  }

  /** Moves a packet that Aedes has written whole to the output. */
  #sealAedes(): void {
    const frame = this.#aedes.seal();
    if (frame === null) return;
    const wasAwaiting = this.#control.isAwaiting;
    this.#control.answer(frame);
    if (wasAwaiting) setImmediate(() => this.goOn());
  }
}

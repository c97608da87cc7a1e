/**
 * The connection to NATS, which comes back for ever, and what is asked of JetStream over it. With
 * nats-connect and nats-authentication, which make it, the one that names the client package.
 */
import { randomUUID } from 'node:crypto';
import {
  headers,
  type Msg,
  type MsgHdrs,
  type NatsConnection,
  type Subscription,
} from '@nats-io/transport-node';
import { TrunklineError } from '../../../base/errors.ts';
import type { Logger } from '../../../base/log.ts';
import { connected, type NatsLinkOptions } from './nats-connect.ts';
import { versionFault } from './server-version.ts';

export type { Msg } from '@nats-io/transport-node';

/** An answer that has not come by then is asked for again. */
const requestMs = 2_500;

/** What JetStream answers instead of what was asked for. */
export class ApiError extends Error {
  readonly status: number;
  readonly errorCode: number;

  constructor(error: { code?: number; err_code?: number; description?: string }) {
    super(error.description ?? 'an error without words');
    this.status = error.code ?? 0;
    this.errorCode = error.err_code ?? 0;
  }
}

export interface PublishAck {
  readonly seq: number;
  readonly duplicate: boolean;
}

/** A message of a stream, however it was come by. */
export interface Stored {
  readonly headers?: { get(name: string): string } | undefined;
  readonly data: Uint8Array;
}

interface Waiting {
  readonly resolve: (message: Msg) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

export class NatsLink {
  readonly #connection: NatsConnection;
  readonly #log: Logger;
  readonly #inbox = `_INBOX.${randomUUID().replaceAll('-', '')}`;
  readonly #waiting = new Map<string, Waiting>();
  readonly #listeners: ((isUp: boolean) => void)[] = [];
  #asked = 0;
  #refused = '';
  #isUp = true;
  #isClosing = false;

  private constructor(connection: NatsConnection, log: Logger) {
    this.#connection = connection;
    this.#log = log;
    this.subscribe(`${this.#inbox}.*`, (message) => this.#answered(message));
    this.#watch().catch((error: unknown) =>
      log.error({ err: error }, 'engine link is not watched'),
    );
  }

  /** Throws `unreachable`, `not-authorized`, `tls-unreadable` or `unsupported`. */
  static async open(log: Logger, options: NatsLinkOptions): Promise<NatsLink> {
    const connection = await connected(options);
    const fault = versionFault(connection.info?.version ?? '');
    if (fault !== null) {
      await connection.close();
      throw new TrunklineError('unsupported', fault);
    }
    return new NatsLink(connection, log);
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  get version(): string {
    return this.#connection.info?.version ?? '';
  }

  /** What the account of this core may not do, in the server's words; empty while nothing was refused. */
  get refused(): string {
    return this.#refused;
  }

  /** Whether the server itself has JetStream; another one of its cluster may have it in its place. */
  get hasJetStream(): boolean {
    return this.#connection.info?.jetstream ?? false;
  }

  get messageBytesMax(): number {
    return this.#connection.info?.max_payload ?? 1024 * 1024;
  }

  /** Whether the server belongs to a cluster. */
  get isCluster(): boolean {
    return (this.#connection.info?.cluster ?? '') !== '';
  }

  /** Must not throw. */
  onChanged(listener: (isUp: boolean) => void): void {
    this.#listeners.push(listener);
  }

  subscribe(subject: string, listener: (message: Msg) => void): Subscription {
    return this.#connection.subscribe(subject, {
      callback: (error, message) => {
        if (error === null) listener(message);
        else this.#log.error({ err: error, subject }, 'engine subscription failed');
      },
    });
  }

  /** Without an answer. False when the connection is down: nothing was sent. */
  send(subject: string, body: Uint8Array, reply?: string): boolean {
    if (!this.#isUp || this.#connection.isClosed()) return false;
    this.#connection.publish(subject, body, reply === undefined ? {} : { reply });
    return true;
  }

  /** One message to a stream. Throws `ApiError`, or an error of any other kind when there was no
   * answer; then it may be stored or not. */
  async publish(
    subject: string,
    body: Uint8Array,
    fields: Readonly<Record<string, string>>,
  ): Promise<PublishAck> {
    const head = headers();
    for (const [name, value] of Object.entries(fields)) head.set(name, value);
    const answer = parsed<{ seq?: number; duplicate?: boolean }>(
      await this.#ask(subject, body, head),
    );
    return { seq: answer.seq ?? 0, duplicate: answer.duplicate ?? false };
  }

  /** A call of the JetStream API. Throws as `publish` does. */
  async call<T extends object>(verb: string, body: object | null = null): Promise<T> {
    const text = body === null ? '' : JSON.stringify(body);
    return parsed<T>(await this.#ask(`$JS.API.${verb}`, Buffer.from(text)));
  }

  /** One stored message, from any replica; null when there is none. */
  async stored(
    stream: string,
    which: { readonly seq: number } | { readonly last_by_subj: string },
  ): Promise<Msg | null> {
    const subject = `$JS.API.DIRECT.GET.${stream}`;
    const message = await this.#ask(subject, Buffer.from(JSON.stringify(which)));
    const code = message.headers?.code ?? 0;
    if (code === 404) return null;
    if (code >= 400) throw new ApiError({ code, description: message.headers?.description ?? '' });
    return message;
  }

  /** The same from the stream's leader, which has all there is; null when it is not there. */
  async storedAtLeader(stream: string, seq: number): Promise<Stored | null> {
    try {
      const { message } = await this.call<{
        message: { hdrs?: string; data?: string; time: string };
      }>(`STREAM.MSG.GET.${stream}`, { seq });
      const head = Buffer.from(message.hdrs ?? '', 'base64').toString();
      const fields = new Map(head.split('\r\n').map((line) => cutAtColon(line)));
      fields.set('Nats-Time-Stamp', message.time);
      const data = Buffer.from(message.data ?? '', 'base64');
      return { headers: { get: (name) => fields.get(name) ?? '' }, data };
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return null;
      throw error;
    }
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer);
      reject(new Error('the connection is closed'));
    }
    this.#waiting.clear();
    await this.#connection.close();
  }

  #ask(subject: string, body: Uint8Array, head?: MsgHdrs): Promise<Msg> {
    if (!this.#isUp || this.#isClosing) return Promise.reject(new Error('there is no connection'));
    const token = String(++this.#asked);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(token);
        reject(new Error(`no answer within ${requestMs} ms`));
      }, requestMs);
      this.#waiting.set(token, { resolve, reject, timer });
      try {
        const reply = `${this.#inbox}.${token}`;
        this.#connection.publish(
          subject,
          body,
          head === undefined ? { reply } : { reply, headers: head },
        );
      } catch (error) {
        clearTimeout(timer);
        this.#waiting.delete(token);
        reject(error instanceof Error ? error : new Error(String(error)));
      }
    });
  }

  #answered(message: Msg): void {
    const token = message.subject.slice(this.#inbox.length + 1);
    const waiting = this.#waiting.get(token);
    if (waiting === undefined) return;
    this.#waiting.delete(token);
    clearTimeout(waiting.timer);
    if (message.headers?.code === 503) waiting.reject(new Error('JetStream does not answer'));
    else waiting.resolve(message);
  }

  async #watch(): Promise<void> {
    for await (const status of this.#connection.status()) {
      if (status.type === 'disconnect') this.#set(false);
      else if (status.type === 'reconnect') this.#set(true);
      else if (status.type === 'error') this.#failed(status.error);
    }
  }

  #failed(error: Error): void {
    if (/permission/i.test(error.message)) this.#refused = error.message;
    this.#log.error({ err: error }, 'engine reports an error');
  }

  #set(isUp: boolean): void {
    if (this.#isUp === isUp || this.#isClosing) return;
    this.#isUp = isUp;
    const server = this.#connection.isClosed() ? '' : this.#connection.getServer();
    if (isUp) this.#log.info({ server }, 'engine connected');
    else this.#log.warn('engine connection lost');
    for (const listener of this.#listeners) listener(isUp);
  }
}

function cutAtColon(line: string): [string, string] {
  const at = line.indexOf(':');
  return at < 0 ? ['', ''] : [line.slice(0, at), line.slice(at + 1).trim()];
}

function parsed<T extends object>(message: Msg): T {
  const answer = JSON.parse(message.string()) as T & {
    error?: { code?: number; err_code?: number; description?: string };
  };
  if (answer.error !== undefined) throw new ApiError(answer.error);
  return answer;
}

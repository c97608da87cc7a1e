/**
 * The operators' HTTP: fleet queries as JSON, watches as server-sent events, metrics, health, and
 * the console. Requests pass: method, door (token, host), route, reply.
 */
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerOptions,
  type ServerResponse,
} from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Clock } from '../../base/clock.ts';
import { isLoopback } from '../../base/config.ts';
import { messageOf, systemCode, TrunklineError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import type { Metrics } from '../../base/metrics.ts';
import type { TlsMaterial, TlsSource } from '../../base/tls/tls-identity.ts';
import type { FleetEngine } from '../fleet/fleet-engine.ts';
import { BearerCheck } from '../grpc/bearer.ts';
import { ConsoleFiles } from './console-files.ts';
import { faultReply, type Reply, replyOfError, sendReply } from './reply.ts';
import { jsonBody } from './request-body.ts';
import { parametersOf, type RequestTarget, targetOf } from './request-target.ts';
import { changeReply, type Readiness, type RoutesParts, replyTo } from './routes.ts';
import { SessionEvents } from './session-events.ts';
import { listOf } from './session-routes.ts';

const connectionsMax = 1_000;
const requestMs = 10_000;
const headerBytesMax = 16 * 1024;
const watchPath = '/v1/sessions:watch';

export interface HttpParts {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly fleet: FleetEngine;
  readonly readiness: () => Readiness;
}

export interface HttpOptions {
  readonly host: string;
  readonly port: number;
  /** Bearer token of operators for /v1; empty for none. */
  readonly token: string;
  /** None: in plain. */
  readonly tls?: TlsSource | null;
  /** Folder of the built console. */
  readonly consoleDirectory: string;
}

export interface HttpDoor {
  readonly port: number;
  close(): Promise<void>;
}

/** Throws `port-in-use` or `address-unavailable` with the remedy. */
export async function openHttp(parts: HttpParts, options: HttpOptions): Promise<HttpDoor> {
  const files = ConsoleFiles.read(options.consoleDirectory);
  if (files.size === 0) {
    parts.log.warn({ directory: options.consoleDirectory }, 'console is not built');
  }
  const desk = new Desk(parts, { ...options, files });
  const bounds = {
    requestTimeout: requestMs,
    headersTimeout: requestMs,
    maxHeaderSize: headerBytesMax,
  };
  const server = serverOf(options.tls ?? null, bounds, (request, response) =>
    desk.handle(request, response),
  );
  server.maxConnections = connectionsMax;
  const refused = parts.metrics.counter(
    'trunkline_http_connections_refused_total',
    'HTTP connections refused because too many were open.',
  );
  server.on('drop', () => refused.add());
  server.on('clientError', (error, socket) => {
    if (!socket.writable || systemCode(error) === 'ECONNRESET') {
      socket.destroy();
      return;
    }
    const text = 'HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n';
    socket.end(text, () => socket.destroy());
  });
  await listen(server, options);
  let closing: Promise<void> | null = null;
  return {
    port: (server.address() as AddressInfo).port,
    close: () => {
      closing ??= closeHttp(server, desk);
      return closing;
    },
  };
}

/** Answers requests. */
class Desk {
  readonly #log: Logger;
  readonly #routes: RoutesParts;
  readonly #check: BearerCheck;
  readonly #events: SessionEvents;
  readonly #host: string;

  constructor(parts: HttpParts, options: HttpOptions & { files: ConsoleFiles }) {
    this.#log = parts.log;
    this.#routes = { ...parts, files: options.files };
    this.#check = new BearerCheck(options.token);
    this.#events = new SessionEvents(parts);
    this.#host = options.host;
  }

  handle(request: IncomingMessage, response: ServerResponse): void {
    response.on('error', () => response.destroy()); // The peer is gone: no one is there to tell.
    const send = (reply: Reply | null) => {
      if (reply !== null && !response.destroyed) sendReply(response, reply);
    };
    this.#replyTo(request, response).then(send, (error: unknown) =>
      send(replyOfError(error) ?? this.#unexpected(error)),
    );
  }

  /** Ends the watches. */
  close(): void {
    this.#events.close();
  }

  /** Null when the response is a stream that was begun. */
  async #replyTo(request: IncomingMessage, response: ServerResponse): Promise<Reply | null> {
    const target = targetOf(request.url ?? '/');
    const isChange = request.method === 'POST';
    if (request.method !== 'GET' && request.method !== 'HEAD' && !isChange) {
      const reply = faultReply('method-not-allowed', 'Only GET, HEAD and POST are answered here.');
      // A body that may follow is not read.
      return { ...reply, headers: { allow: 'GET, HEAD, POST', connection: 'close' } };
    }
    const turnedAway = this.#turnedAway(request, target);
    if (turnedAway !== null) return turnedAway;
    if (isChange) return changeReply(target, () => jsonBody(request), this.#routes);
    if (target.path === watchPath && request.method === 'GET') {
      this.#watch(request, response, target.query);
      return null;
    }
    return replyTo(target, this.#routes, request.headers['if-none-match']);
  }

  /** A browser that lost the stream names the last event that it had by itself. */
  #watch(request: IncomingMessage, response: ServerResponse, query: string): void {
    const given = parametersOf(query, ['filter', 'fields', 'resume_from']);
    const lastId = String(request.headers['last-event-id'] ?? '');
    this.#events.serve(response, {
      filter: given.get('filter') ?? '',
      resumeFrom: given.get('resume_from') || (lastId.split(':')[1] ?? ''),
      fields: listOf(given.get('fields')),
    });
  }

  #turnedAway(request: IncomingMessage, { path }: RequestTarget): Reply | null {
    if (!path.startsWith('/v1/')) return null;
    if (this.#check.isOpen) return this.#foreignHost(request);
    if (this.#check.admits(request.headers.authorization)) return null;
    const message = 'Send "Authorization: Bearer TOKEN" with the token of http.token.';
    return {
      ...faultReply('not-authorized', message),
      headers: { 'www-authenticate': 'Bearer' },
    };
  }

  /**
   * Without a token only this machine may ask. A page of another site could have its own name
   * resolve to this machine and read the answers; its requests carry that name.
   */
  #foreignHost(request: IncomingMessage): Reply | null {
    const name = (request.headers.host ?? '').replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
    if (!isLoopback(this.#host) || isLoopback(name) || name === this.#host) return null;
    const message = `Host ${JSON.stringify(name.slice(0, 128))} is not this machine; set http.token to be asked by other names.`;
    return faultReply('not-authorized', message, 403);
  }

  #unexpected(error: unknown): Reply {
    this.#log.error({ err: error }, 'request failed unexpectedly');
    return faultReply('unexpected', "Unexpected error; the core's log tells more.");
  }
}

function serverOf(tls: TlsSource | null, bounds: ServerOptions, serve: RequestListener): Server {
  if (tls === null) return createServer(bounds, serve);
  const secure = createSecureServer({ ...bounds, ...identityOf(tls.material) }, serve);
  const unfollow = tls.onChanged(() => secure.setSecureContext(identityOf(tls.material)));
  secure.once('close', unfollow);
  return secure;
}

function identityOf({ cert, key }: TlsMaterial) {
  return cert === null || key === null ? {} : { cert, key };
}

async function listen(server: Server, { host, port }: HttpOptions): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(bindFault({ host, port }, error)));
    server.listen(port, host, resolve);
  });
  server.removeAllListeners('error');
  server.on('error', () => {}); // An accept that failed has no one to tell: the peer tries again.
}

async function closeHttp(server: Server, desk: Desk): Promise<void> {
  desk.close();
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
    server.closeIdleConnections();
    // Closing events get one turn to leave; nobody may hold up a stop.
    setImmediate(() => server.closeAllConnections());
  });
}

function bindFault({ host, port }: { host: string; port: number }, error: unknown): TrunklineError {
  return systemCode(error) === 'EADDRINUSE'
    ? new TrunklineError(
        'port-in-use',
        `Port ${port} on ${host} is in use, so the operators' HTTP cannot listen there. Stop the other program or choose another port with --http-port.`,
        { cause: error },
      )
    : new TrunklineError(
        'address-unavailable',
        `The operators' HTTP cannot listen on ${host}:${port}: ${messageOf(error)}`,
        { cause: error },
      );
}

/**
 * A tier's own small HTTP: `/metrics` for Prometheus, `/healthz` while the process works, `/readyz`
 * while it should be given work. Nothing else is answered, and nothing is read from a body.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { messageOf, systemCode, TrunklineError } from './errors.ts';

export interface Readiness {
  readonly ready: boolean;
  /** Why not, or what is amiss all the same. */
  readonly reasons: readonly string[];
}

/** What `/metrics` shows. */
export interface Exposition {
  text(): string | Promise<string>;
}

export interface StatusOptions {
  readonly host: string;
  readonly port: number;
  /** What listens, for the error: "the edge's status server". */
  readonly name: string;
  /** Flag that chooses another port, for the error. */
  readonly portFlag: string;
  /** Asked on each `/readyz`. */
  readonly readiness: () => Readiness | Promise<Readiness>;
}

/** Scrapers and probes need a handful; more are turned away by the system's own accept queue. */
const connectionsMax = 64;
const requestMs = 5_000;
const metricsType = 'text/plain; version=0.0.4; charset=utf-8';

export class StatusServer {
  readonly #server: Server;
  #closing: Promise<void> | null = null;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** Throws `port-in-use` or `address-unavailable` with the remedy. */
  static async open(parts: { metrics: Exposition }, options: StatusOptions): Promise<StatusServer> {
    const server = createServer(
      { requestTimeout: requestMs, headersTimeout: requestMs },
      (request, response) => {
        answer(request, response, parts.metrics, options.readiness).catch((error: Error) =>
          response.destroy(error),
        );
      },
    );
    server.maxConnections = connectionsMax;
    server.on('clientError', (_error, socket) => socket.destroy());
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) => reject(bindFault(options, error)));
      server.listen(options.port, options.host, resolve);
    });
    server.removeAllListeners('error');
    server.on('error', () => {}); // An accept that failed has no one to tell: the peer tries again.
    return new StatusServer(server);
  }

  /** The port in use, when 0 was asked for. */
  get port(): number {
    return (this.#server.address() as AddressInfo | null)?.port ?? 0;
  }

  close(): Promise<void> {
    this.#closing ??= new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
    return this.#closing;
  }
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  metrics: Exposition,
  readiness: StatusOptions['readiness'],
): Promise<void> {
  const path = (request.url ?? '/').split('?', 1)[0];
  if (path !== '/metrics' && path !== '/healthz' && path !== '/readyz') {
    send(response, 404, 'Not here. There are /metrics, /healthz and /readyz.\n');
    return;
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('allow', 'GET, HEAD');
    send(response, 405, 'Only GET and HEAD.\n');
    return;
  }
  if (path === '/healthz') {
    send(response, 200, 'ok\n');
  } else if (path === '/metrics') {
    send(response, 200, await metrics.text(), metricsType);
  } else {
    const { ready, reasons } = await readiness();
    const body = `${JSON.stringify({ ready, reasons })}\n`;
    send(response, ready ? 200 : 503, body, 'application/json');
  }
}

function send(
  response: ServerResponse,
  status: number,
  body: string,
  type = 'text/plain; charset=utf-8',
): void {
  response.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
  });
  response.end(response.req.method === 'HEAD' ? undefined : body);
}

function bindFault(options: StatusOptions, error: unknown): TrunklineError {
  return systemCode(error) === 'EADDRINUSE'
    ? new TrunklineError(
        'port-in-use',
        `Port ${options.port} on ${options.host} is in use, so ${options.name} cannot listen there. Stop the other program or choose another port with --${options.portFlag}.`,
        { cause: error },
      )
    : new TrunklineError(
        'address-unavailable',
        `${options.name} cannot listen on ${options.host}:${options.port}: ${messageOf(error)}`,
        { cause: error },
      );
}

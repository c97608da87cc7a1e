/**
 * The doors for devices: MQTT over TCP, TLS, WebSocket, and WebSocket with TLS. Each turns what
 * comes in into a duplex stream and hands it on; all are the same from there.
 */
import { createServer as createHttpServer, type Server as HttpServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import {
  type AddressInfo,
  createServer as createTcpServer,
  type Server,
  type Socket,
} from 'node:net';
import type { Duplex } from 'node:stream';
import { createServer as createTlsServer } from 'node:tls';
import { createWebSocketStream, WebSocketServer } from 'ws';
import { type Config, requireCredential } from '../base/config.ts';
import { systemCode, TrunklineError } from '../base/errors.ts';
import { connectMs } from '../base/limits.ts';
import type { Logger } from '../base/log.ts';
import { hasAuthentication } from '../base/settings/auth.ts';
import type { TlsSource } from '../base/tls/tls-identity.ts';
import type { CertificateFacts } from './auth/authenticator.ts';
import { peerCertificate } from './auth/peer-certificate.ts';

export type ListenerName = 'mqtt' | 'mqtts' | 'ws' | 'wss';

/** Of connections within the process. */
export const innerListener = 'inner';

/** A stream that a device opened. */
export interface Arrival {
  readonly socket: Duplex;
  readonly listener: ListenerName;
  readonly remoteAddress: string;
  /** Of the client, verified; null for none. */
  readonly certificate: CertificateFacts | null;
}

export interface ListenersOptions {
  readonly config: Config;
  /** None: no TLS. */
  readonly tls: TlsSource | null;
  readonly onArrival: (arrival: Arrival) => void;
  /** The process may open no more files: a connection was dropped. */
  readonly onAcceptFailed?: (listener: ListenerName) => void;
  /** Listens on no port: connections come through `inject`, from a process that has the ports. */
  readonly isInjected?: boolean;
}

/** What lets devices in. */
export interface Doors {
  /** Ports in use, by listener. */
  readonly ports: ReadonlyMap<ListenerName, number>;
  /** Stops taking connections; those that are open go on until their owner ends them. */
  close(): Promise<void>;
}

export type OpenDoors = (log: Logger, options: ListenersOptions) => Promise<Doors>;

export class Listeners implements Doors {
  readonly #log: Logger;
  readonly #servers = new Map<ListenerName, Server>();
  readonly #webSocketServers: WebSocketServer[] = [];
  /** HTTP connections that are no web sockets yet, with the timers that end them. */
  readonly #upgrading = new Map<Duplex, NodeJS.Timeout>();
  readonly ports = new Map<ListenerName, number>();
  #unfollow: () => void = () => {};

  private constructor(log: Logger) {
    this.#log = log;
  }

  /** Throws `port-in-use`, `address-unavailable` or `door-open`. */
  static async open(log: Logger, options: ListenersOptions): Promise<Listeners> {
    const listeners = new Listeners(log);
    try {
      await listeners.#openAll(options);
      return listeners;
    } catch (error) {
      await listeners.close();
      throw error;
    }
  }

  /** A connection that another process has accepted, and not read from. */
  inject(listener: ListenerName, socket: Socket): void {
    const server = this.#servers.get(listener);
    if (server === undefined) socket.destroy();
    else server.emit('connection', socket);
  }

  async close(): Promise<void> {
    this.#unfollow();
    for (const server of this.#webSocketServers.splice(0)) server.close();
    for (const socket of this.#upgrading.keys()) socket.destroy();
    const servers = [...this.#servers.values()];
    this.#servers.clear();
    await Promise.all(
      servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve()))),
    );
  }

  async #openAll(options: ListenersOptions): Promise<void> {
    const { config, onArrival, onAcceptFailed, isInjected = false, tls } = options;
    const onError = (listener: ListenerName, error: Error) => {
      // Told as a bound that is met: there is one for each connection that could not be taken.
      if (isOutOfDescriptors(error)) onAcceptFailed?.(listener);
      else this.#log.error({ err: error, listener }, 'listener failed');
    };
    const add = async (name: ListenerName, server: Server) => {
      this.#servers.set(name, server);
      if (!isInjected) this.ports.set(name, await bindListener(name, server, config));
      server.on('error', (error) => onError(name, error));
    };
    const plain = (listener: ListenerName) => (socket: Socket) => {
      socket.setNoDelay(true);
      // A client may send all it has and end its half: it still gets its answers.
      socket.allowHalfOpen = true;
      onArrival({ socket, listener, ...factsOf(socket) });
    };
    await add('mqtt', createTcpServer(plain('mqtt')));
    const web = createHttpServer(refuseHttp);
    this.#serveWebSocket('ws', web, config, onArrival);
    await add('ws', web);
    if (tls === null) return;
    // A handshake has no more time than the CONNECT behind it.
    const identity = { ...identityOf(tls), handshakeTimeout: connectMs };
    const secure = createTlsServer(identity, plain('mqtts'));
    secure.on('tlsClientError', (error) => {
      this.#log.debug({ err: error, listener: 'mqtts' }, 'tls handshake failed');
    });
    await add('mqtts', secure);
    const secureWeb = createHttpsServer(identity, refuseHttp);
    this.#serveWebSocket('wss', secureWeb, config, onArrival);
    await add('wss', secureWeb);
    // Connections that are open keep what they have.
    this.#unfollow = tls.onChanged(() => {
      for (const server of [secure, secureWeb]) server.setSecureContext(identityOf(tls));
    });
  }

  /** An HTTP request has no more time to become a web socket than the CONNECT behind it. */
  #awaitUpgrade(socket: Duplex): void {
    const timer = setTimeout(() => socket.destroy(), connectMs);
    this.#upgrading.set(socket, timer);
    socket.once('close', () => this.#stopWaiting(socket));
  }

  #stopWaiting(socket: Duplex): void {
    clearTimeout(this.#upgrading.get(socket));
    this.#upgrading.delete(socket);
  }

  #serveWebSocket(
    listener: 'ws' | 'wss',
    server: HttpServer,
    config: Config,
    onArrival: ListenersOptions['onArrival'],
  ): void {
    const accepted = listener === 'wss' ? 'secureConnection' : 'connection';
    server.on(accepted, (socket: Duplex) => this.#awaitUpgrade(socket));
    const webSockets = new WebSocketServer({
      server,
      path: config.ws.path,
      perMessageDeflate: false,
      maxPayload: config.limits.packet_bytes + 16,
      // [MQTT-6.0.0-3] the client asks for the sub-protocol "mqtt"; "mqttv3.1" is MQTT 3.1's.
      handleProtocols: (offered) =>
        ['mqtt', 'mqttv3.1'].find((protocol) => offered.has(protocol)) ?? false,
      verifyClient: ({ req }, answer) => {
        const offered = req.headers['sec-websocket-protocol'] ?? '';
        const isMqtt = /\bmqtt(v3\.1)?\b/.test(offered);
        answer(isMqtt, 400, 'Ask for the WebSocket sub-protocol "mqtt".');
      },
    });
    webSockets.on('connection', (webSocket, request) => {
      this.#stopWaiting(request.socket);
      request.socket.setNoDelay(true);
      const socket = createWebSocketStream(webSocket);
      // [MQTT-6.0.0-1] text is not for MQTT.
      webSocket.on('message', (_data, isBinary) => {
        if (!isBinary) socket.destroy();
      });
      onArrival({ socket, listener, ...factsOf(request.socket) });
    });
    webSockets.on('error', (error) => {
      this.#log.debug({ err: error, listener }, 'web socket server error');
    });
    this.#webSocketServers.push(webSockets);
  }
}

/**
 * The port that the server listens on. Throws `port-in-use`, `address-unavailable` or `door-open`.
 */
export async function bindListener(
  name: ListenerName,
  server: Server,
  config: Config,
): Promise<number> {
  const { host, port } = config[name];
  requireCredential({
    name: `MQTT (${name})`,
    host,
    hasCredential: hasAuthentication(config) || config.auth.anonymous,
    remedy:
      'set auth.users or another method of docs/authentication.md, or auth.anonymous = true to let everybody in',
  });
  await new Promise<void>((resolve, reject) => {
    const fail = (error: Error) => reject(listenFault(name, { host, port }, error));
    server.once('error', fail);
    server.listen({ host, port, backlog: config.limits.backlog }, () => {
      server.off('error', fail);
      resolve();
    });
  });
  return (server.address() as AddressInfo).port;
}

function isOutOfDescriptors(error: Error): boolean {
  const code = systemCode(error);
  return code === 'EMFILE' || code === 'ENFILE';
}

function refuseHttp(_request: unknown, response: import('node:http').ServerResponse): void {
  response.writeHead(426, { 'content-type': 'text/plain', upgrade: 'websocket' });
  response.end('This port speaks MQTT over WebSocket.\n');
}

function factsOf(socket: Socket): Pick<Arrival, 'remoteAddress' | 'certificate'> {
  const remoteAddress = `${socket.remoteAddress ?? ''}:${socket.remotePort ?? 0}`;
  return { remoteAddress, certificate: peerCertificate(socket) };
}

/** Who has no certificate, or a bad one, may still prove itself in another way. */
function identityOf({ material: { ca, cert, crl, key } }: TlsSource) {
  const asked = ca === null ? {} : { ca, requestCert: true, rejectUnauthorized: false };
  return { ...asked, ...(crl && { crl }), ...(cert && { cert }), ...(key && { key }) };
}

function listenFault(
  name: ListenerName,
  at: { host: string; port: number },
  error: Error,
): TrunklineError {
  if (systemCode(error) === 'EADDRINUSE') {
    return new TrunklineError(
      'port-in-use',
      `Port ${at.port} on ${at.host} is in use, so MQTT (${name}) cannot listen there. Stop the other program or choose another port with --${name}-port.`,
      { cause: error },
    );
  }
  return new TrunklineError(
    'address-unavailable',
    `MQTT (${name}) cannot listen on ${at.host}:${at.port}: ${error.message}. Choose another address with --${name}-host.`,
    { cause: error },
  );
}

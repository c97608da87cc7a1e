/** The stream to another broker that an address names: TCP, TLS or WebSocket. */
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { connect as connectTcp } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import { createWebSocketStream, WebSocket } from 'ws';
import { messageOf, TrunklineError } from '../../base/errors.ts';
import { connectMs } from '../../base/limits.ts';
import type { ForeignSettings } from './settings.ts';

const ports = new Map([
  ['mqtt:', 1883],
  ['mqtts:', 8883],
]);

/** Certificates, read anew for each connection, so that renewed ones count. */
interface Identity {
  readonly ca?: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
}

/** Resolves when it is open. Throws what the network throws, or `tls-unreadable`. */
export async function openRemoteStream(settings: ForeignSettings): Promise<Duplex> {
  const url = new URL(settings.url);
  const signal = AbortSignal.timeout(connectMs);
  const identity = await readIdentity(settings);
  if (url.protocol === 'ws:' || url.protocol === 'wss:') {
    const socket = new WebSocket(url, 'mqtt', { ...identity, perMessageDeflate: false });
    const stream = createWebSocketStream(socket);
    await opened(stream, { signal, opening: once(socket, 'open', { signal }) });
    return stream;
  }
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const port = url.port === '' ? (ports.get(url.protocol) as number) : Number(url.port);
  const isSecure = url.protocol === 'mqtts:';
  const stream = isSecure
    ? connectTls({ host, port, servername: host, ...identity })
    : connectTcp({ host, port });
  stream.setNoDelay(true);
  const event = isSecure ? 'secureConnect' : 'connect';
  await opened(stream, { signal, opening: once(stream, event, { signal }) });
  return stream;
}

async function opened(
  stream: Duplex,
  { opening }: { signal: AbortSignal; opening: Promise<unknown> },
): Promise<void> {
  // Until its owner listens: what fails while it opens is thrown by `opening`.
  stream.on('error', () => {});
  try {
    await opening;
  } catch (error) {
    stream.destroy();
    throw error;
  }
}

async function readIdentity(settings: ForeignSettings): Promise<Identity> {
  const identity: { ca?: Buffer; cert?: Buffer; key?: Buffer } = {};
  for (const name of ['ca', 'cert', 'key'] as const) {
    const file = settings[name];
    if (file === '') continue;
    try {
      identity[name] = await readFile(file);
    } catch (error) {
      throw new TrunklineError(
        'tls-unreadable',
        `edge.foreign: ${name} of ${settings.name}, ${file}, cannot be read: ${messageOf(error)}`,
        { cause: error },
      );
    }
  }
  return identity;
}

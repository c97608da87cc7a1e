/** One connection of the campaign: what it sends is drawn beforehand, then sent, then it ends. */
import { connect, type Socket } from 'node:net';
import type { Random } from '../support/random.ts';
import type { Corpus } from './corpus.ts';
import { mutate, split } from './mutate.ts';
import { upgradeRequest, webSocketFrame } from './web-socket-bytes.ts';

/** An edge closes a connection whose client has ended it much sooner than this. */
const endMsMax = 15_000;

const framesMax = 16;

export interface Script {
  readonly isWebSocket: boolean;
  /** MQTT bytes, one piece after the other. */
  readonly pieces: readonly Buffer[];
  readonly frames: number;
  /** `reset` leaves no word, `end` a FIN. */
  readonly ending: 'end' | 'reset';
}

export interface Ports {
  readonly mqtt: number;
  readonly ws: number;
}

/** Mostly a session first, then packets of which more and more are spoilt. */
export function drawScript(random: Random, corpora: readonly Corpus[]): Script {
  const corpus = random.pick(corpora);
  const frames: Buffer[] = [];
  const first = random.pick(corpus.connects);
  const how = random.next();
  if (how < 0.86) frames.push(first);
  else if (how < 0.98) frames.push(mutate(first, random, corpus.packets));
  const count = random.between(1, framesMax - 1);
  // A spoilt frame mostly ends its connection, and what is behind it is not read.
  const spoilt = random.pick([0, 0.05, 0.15, 0.4]);
  for (let i = 0; i < count; i++) frames.push(drawFrame(random, corpora, corpus, spoilt));
  return {
    isWebSocket: random.chance(0.25),
    pieces: split(Buffer.concat(frames), random),
    frames: frames.length,
    ending: random.chance(0.85) ? 'end' : 'reset',
  };
}

function drawFrame(
  random: Random,
  corpora: readonly Corpus[],
  own: Corpus,
  spoilt: number,
): Buffer {
  if (random.chance(0.015)) return random.pick(own.odd);
  // Now and then of the other version.
  const { packets } = random.chance(0.02) ? random.pick(corpora) : own;
  const frame = random.pick(packets);
  return random.chance(spoilt) ? mutate(frame, random, packets) : frame;
}

/** Plays the script; resolves when the connection is gone, and rejects when it stays. */
export async function play(script: Script, ports: Ports, random: Random): Promise<void> {
  const socket = await open(script.isWebSocket ? ports.ws : ports.mqtt);
  socket.on('error', () => {});
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  if (script.isWebSocket) {
    socket.write(upgradeRequest);
    await Promise.race([new Promise((resolve) => socket.once('data', resolve)), closed]);
  }
  socket.resume();
  for (const piece of script.pieces) {
    if (socket.destroyed) break;
    socket.write(script.isWebSocket ? webSocketFrame(piece, random) : piece);
    await new Promise((resolve) => setImmediate(resolve));
  }
  if (script.ending === 'reset') socket.resetAndDestroy();
  else socket.end();
  let guard: NodeJS.Timeout | undefined;
  const stays = new Promise<never>((_resolve, reject) => {
    const error = new Error(`a connection is still open ${endMsMax} ms after its client ended it`);
    guard = setTimeout(() => reject(error), endMsMax);
  });
  await Promise.race([closed, stays]).finally(() => clearTimeout(guard));
}

/** The machine may be out of ports for a moment: closed connections keep theirs for a while. */
async function open(port: number): Promise<Socket> {
  for (let attempt = 0; ; attempt++) {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    const failure = await new Promise<NodeJS.ErrnoException | null>((resolve) => {
      socket.once('connect', () => resolve(null));
      socket.once('error', resolve);
    });
    if (failure === null) return socket;
    const isScarce = failure.code === 'EADDRNOTAVAIL' || failure.code === 'ECONNRESET';
    if (!isScarce || attempt === 100) throw failure;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

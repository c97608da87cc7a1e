/** What deflating the payload column costs and saves: batches of JSON readings, one thread. */
import type { Publication } from '../../base/publication.ts';
import { PayloadDeflater } from '../../proto/deflate.ts';
import { Batch } from '../../proto/gen/trunkline/v1/publication.ts';
import { TopicDecoder, TopicEncoder } from '../../proto/wire.ts';

const batches = 400;
const readings = 500;

export interface CompressionRow {
  readonly name: string;
  /** Of a message on the wire. */
  readonly bytes: number;
  /** Of a message, to encode and to decode; microseconds of one thread. */
  readonly encodeUs: number;
  readonly decodeUs: number;
}

export function measureCompression(): CompressionRow[] {
  return [measure('plain', false), measure('deflated', true)];
}

function measure(name: string, isDeflated: boolean): CompressionRow {
  const counter = { add: () => {} };
  const counters = { deflateIn: counter, deflateOut: counter };
  const deflater = new PayloadDeflater(counters, () => isDeflated);
  const encoder = new TopicEncoder();
  const decoder = new TopicDecoder();
  const now = Date.now();
  const all = Array.from({ length: batches }, (_, i) => readingsOf(i, now));
  let bytes = 0;
  let encodeMs = 0;
  let decodeMs = 0;
  for (const items of all) {
    const start = performance.now();
    const batch = encoder.encode(items, { now });
    deflater.apply(batch);
    const sent = Batch.encode(batch).finish();
    const between = performance.now();
    decoder.decode(Batch.decode(sent), { now, origin: 'edge' });
    encodeMs += between - start;
    decodeMs += performance.now() - between;
    bytes += sent.length;
  }
  const messages = batches * readings;
  return {
    name,
    bytes: bytes / messages,
    encodeUs: (encodeMs * 1000) / messages,
    decodeUs: (decodeMs * 1000) / messages,
  };
}

/** 20 devices, each with values of its own that change a little. */
function readingsOf(batch: number, now: number) {
  return Array.from({ length: readings }, (_, i) => {
    const n = batch * readings + i;
    const reading = {
      deviceId: `meter-${n % 20}`,
      at: new Date(now + n * 37).toISOString(),
      voltage: Number((230 + 4 * Math.sin(n / 7)).toFixed(2)),
      current: Number((8 + 3 * Math.cos(n / 11)).toFixed(3)),
      energy: 1_000_000 + n * 3,
      status: n % 97 === 0 ? 'degraded' : 'ok',
    };
    const publication: Publication = {
      topic: `meters/meter-${n % 20}/reading`,
      payload: Buffer.from(JSON.stringify(reading)),
      qos: 1,
      retain: false,
      properties: null,
      acceptedAt: now,
      origin: '',
    };
    return { sequence: n + 1, publication };
  });
}

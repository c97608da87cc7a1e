/** WebSocket by hand, so that its own framing can be spoilt as well. Source: RFC 6455 section 5. */
import type { Random } from '../support/random.ts';

export const upgradeRequest = Buffer.from(
  [
    'GET /mqtt HTTP/1.1',
    'Host: localhost',
    'Upgrade: websocket',
    'Connection: Upgrade',
    'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Protocol: mqtt',
    '\r\n',
  ].join('\r\n'),
);

const binary = 0x82;

/** A masked binary message; once in a while something else. */
export function webSocketFrame(payload: Buffer, random: Random): Buffer {
  const isOdd = random.chance(0.03);
  const first = isOdd ? random.below(256) : binary;
  const mask = random.bytes(4);
  const head = header(isOdd && random.chance(0.3) ? random.below(70_000) : payload.length);
  const masked = Buffer.from(payload);
  for (let i = 0; i < masked.length; i++) {
    masked[i] = (masked[i] as number) ^ (mask[i & 3] as number);
  }
  return Buffer.concat([Buffer.of(first), head, mask, masked]);
}

function header(length: number): Buffer {
  if (length < 126) return Buffer.of(0x80 | length);
  const bytes = Buffer.alloc(length < 65_536 ? 3 : 9);
  bytes[0] = length < 65_536 ? 0xfe : 0xff;
  if (length < 65_536) bytes.writeUInt16BE(length, 1);
  else bytes.writeBigUInt64BE(BigInt(length), 1);
  return bytes;
}

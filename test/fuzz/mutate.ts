/** Ways to spoil a frame. Each gives a new one, and some of them are still well formed. */
import type { Random } from '../support/random.ts';

type Mutation = (frame: Buffer, random: Random, others: readonly Buffer[]) => Buffer;

const borderBytes = [0x00, 0x01, 0x02, 0x03, 0x7f, 0x80, 0x81, 0xfe, 0xff];
const borderLengths = [0, 1, 2, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, 268_435_455];
const borderNumbers = [0, 1, 2, 0x7fff, 0x8000, 0xfffe, 0xffff];

export function variableInteger(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  do {
    const digit = rest & 127;
    rest >>>= 7;
    bytes.push(rest > 0 ? digit | 128 : digit);
  } while (rest > 0);
  return Buffer.from(bytes);
}

/** Where the body begins, behind the remaining length. */
function bodyStart(frame: Buffer): number {
  let at = 1;
  while (at < frame.length && at < 5 && ((frame[at] as number) & 0x80) !== 0) at++;
  return Math.min(at + 1, frame.length);
}

/** The same first byte and a remaining length that tells the truth of another body. */
function framed(first: number, body: Buffer): Buffer {
  return Buffer.concat([Buffer.of(first), variableInteger(body.length), body]);
}

const flipBits: Mutation = (frame, random) => {
  const copy = Buffer.from(frame);
  for (let i = random.between(1, 6); i > 0; i--) {
    const at = random.below(copy.length);
    copy[at] = (copy[at] as number) ^ (1 << random.below(8));
  }
  return copy;
};

const borderByte: Mutation = (frame, random) => {
  const copy = Buffer.from(frame);
  copy[random.below(copy.length)] = random.pick(borderBytes);
  return copy;
};

const borderNumber: Mutation = (frame, random) => {
  const copy = Buffer.from(frame);
  const start = bodyStart(copy);
  if (copy.length < start + 2) return copy;
  copy.writeUInt16BE(random.pick(borderNumbers), random.between(start, copy.length - 2));
  return copy;
};

const lieAboutLength: Mutation = (frame, random) => {
  const body = frame.subarray(bodyStart(frame));
  const claimed = random.chance(0.5)
    ? Math.max(0, body.length + random.between(-8, 8))
    : random.pick(borderLengths);
  return Buffer.concat([frame.subarray(0, 1), variableInteger(claimed), body]);
};

const oddLength: Mutation = (frame, random) => {
  const body = frame.subarray(bodyStart(frame));
  const long = [0x80 | (body.length & 127), 0x80, 0x80, 0x80, 0x01];
  const padded = [0x80 | (body.length & 127), 0x80 | ((body.length >> 7) & 127), 0x00];
  const length = Buffer.from(random.chance(0.5) ? long : padded);
  return Buffer.concat([frame.subarray(0, 1), length, body]);
};

const truncate: Mutation = (frame, random) => frame.subarray(0, random.below(frame.length));

/** Cut off, and the length says so: what is missing is missed inside the packet. */
const shorten: Mutation = (frame, random) => {
  const body = frame.subarray(bodyStart(frame));
  return framed(frame[0] as number, body.subarray(0, random.below(body.length + 1)));
};

const lengthen: Mutation = (frame, random) => {
  const body = frame.subarray(bodyStart(frame));
  const more = random.bytes(random.between(1, 16));
  const at = random.below(body.length + 1);
  const longer = Buffer.concat([body.subarray(0, at), more, body.subarray(at)]);
  return framed(frame[0] as number, longer);
};

/** A piece of the body twice, such as a property that may stand there once. */
const repeatPiece: Mutation = (frame, random) => {
  const body = frame.subarray(bodyStart(frame));
  const from = random.below(body.length + 1);
  const to = random.between(from, body.length);
  const longer = Buffer.concat([body.subarray(0, to), body.subarray(from)]);
  return framed(frame[0] as number, longer);
};

const duplicate: Mutation = (frame) => Buffer.concat([frame, frame]);

const splice: Mutation = (frame, random, others) => {
  const other = random.pick(others);
  const head = frame.subarray(0, random.below(frame.length + 1));
  return Buffer.concat([head, other.subarray(random.below(other.length + 1))]);
};

/** Two bodies in one frame whose length is right. */
const spliceBodies: Mutation = (frame, random, others) => {
  const [body, other] = [frame, random.pick(others)].map((one) => one.subarray(bodyStart(one)));
  const head = (body as Buffer).subarray(0, random.below((body as Buffer).length + 1));
  const tail = (other as Buffer).subarray(random.below((other as Buffer).length + 1));
  return framed(frame[0] as number, Buffer.concat([head, tail]));
};

const otherType: Mutation = (frame, random) => {
  const copy = Buffer.from(frame);
  copy[0] = random.below(256);
  return copy;
};

const noise: Mutation = (_frame, random) => random.bytes(random.between(1, 64));

const framedNoise: Mutation = (_frame, random) =>
  framed(random.below(256), random.bytes(random.below(64)));

const mutations = [
  ...[flipBits, borderByte, borderNumber, lieAboutLength, oddLength, truncate, shorten, lengthen],
  ...[repeatPiece, duplicate, splice, spliceBodies, otherType, noise, framedNoise],
];

/** One to three of them on top of each other. */
export function mutate(frame: Buffer, random: Random, others: readonly Buffer[]): Buffer {
  let result = frame;
  for (let times = random.pick([1, 1, 1, 2, 3]); times > 0 && result.length > 0; times--) {
    result = random.pick(mutations)(result, random, others);
  }
  return result;
}

/** Pieces of it, as TCP may deliver them. */
export function split(bytes: Buffer, random: Random): Buffer[] {
  const count = random.pick([1, 1, 2, 3, 6]);
  const cuts = Array.from({ length: count - 1 }, () => random.below(bytes.length + 1));
  const at = [0, ...cuts.sort((a, b) => a - b), bytes.length];
  return at.slice(1).map((end, i) => bytes.subarray(at[i], end));
}

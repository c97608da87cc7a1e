/**
 * No PUBACK or PUBREC byte leaves before the fdatasync that covers its record. The system calls of a
 * running edge are watched from outside: each acknowledgement that is written to a socket must have
 * been preceded by a write of its record to the spool and then by a whole fdatasync of that file.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { startProcess, temporaryFolder } from '../support/processes.ts';
import { packetIdOf, publishPacket, RawClient } from '../support/raw-client.ts';

const watched = 'fdatasync,write,writev,pwrite64,pwritev,sendto,sendmsg';
const hasStrace = spawnSync('strace', ['-V']).status === 0;
const skip = hasStrace ? false : 'strace is not installed';

const clients = 4;
const perClient = 150;

/** Attaches to every thread of the process; null when the system does not allow it. */
async function attach(pid: number, file: string): Promise<ChildProcess | null> {
  // Each fdatasync is held up a little: on a quick disk it would win every race.
  const slow = 'inject=fdatasync:delay_enter=3000';
  const what = ['-e', `trace=${watched}`, '-e', slow, '-xx', '-s', '1000000'];
  const strace = spawn('strace', ['-f', '-p', `${pid}`, '-o', file, ...what], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  for await (const chunk of strace.stderr) {
    if (String(chunk).includes('attached')) {
      strace.stderr.resume();
      return strace;
    }
  }
  return null;
}

/** Marks a record: these bytes stand in its payload. */
function mark(packetId: number): string {
  return `<${String(packetId).padStart(6, '0')}>`;
}

/** Publishes on a connection of its own and resolves when all is acknowledged. */
async function publishAll(port: number, index: number): Promise<void> {
  const raw = await RawClient.session(port, `client-${index}`);
  const qos = index % 2 === 0 ? 1 : 2;
  const wanted = new Set<number>();
  for (let i = 0; i < perClient; i++) {
    const packetId = 1 + index * perClient + i;
    wanted.add(packetId);
    raw.send(publishPacket(`t/${index}`, mark(packetId), { qos, packetId }));
    // Some alone, some many at once.
    if (i % 10 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  while (wanted.size > 0) wanted.delete(packetIdOf(await raw.nextOf(qos === 1 ? 4 : 5)));
  raw.destroy();
}

/** What the watched calls, taken in order, say of each acknowledgement. */
class Trace {
  readonly acked = new Set<number>();
  readonly early: number[] = [];
  /** By file: marks written, and those of them that an fdatasync has covered. */
  readonly #written = new Map<string, Set<number>>();
  readonly #durable = new Set<number>();
  /** By thread: what is to happen when its call returns. */
  readonly #pending = new Map<string, () => void>();

  line(text: string): void {
    const [thread = '', ...rest] = text.split(/\s+/);
    const call = rest.join(' ');
    if (call.startsWith('<... ')) {
      if (!/ = -1 /.test(call)) this.#pending.get(thread)?.();
      this.#pending.delete(thread);
      return;
    }
    const done = this.#begin(call);
    if (done === null) return;
    if (call.endsWith('<unfinished ...>')) this.#pending.set(thread, done);
    else if (!/ = -1 /.test(call)) done();
  }

  /** Answers what holds once the call has returned. */
  #begin(call: string): (() => void) | null {
    const found = /^(\w+)\((\d+)(.*)/.exec(call);
    if (found === null) return null;
    const [, name, file = '', args = ''] = found;
    if (name === 'fdatasync') {
      const covered = [...(this.#written.get(file) ?? [])];
      return () => {
        for (const packetId of covered) this.#durable.add(packetId);
      };
    }
    const bytes = bytesOf(args);
    if (name?.startsWith('pwrite') === true) return () => this.#note(file, bytes);
    this.#acknowledge(bytes);
    return null;
  }

  #note(file: string, bytes: Buffer): void {
    const marks = this.#written.get(file) ?? new Set();
    for (const [, digits] of bytes.toString('latin1').matchAll(/<(\d{6})>/g)) {
      marks.add(Number(digits));
    }
    this.#written.set(file, marks);
  }

  /** Counts when the call begins: from then on the bytes may be on their way. */
  #acknowledge(bytes: Buffer): void {
    // Nothing but acknowledgements goes to these clients while they are watched.
    if (bytes.length === 0 || bytes.length % 4 !== 0) return;
    for (let at = 0; at < bytes.length; at += 4) {
      const isAck = (bytes[at] === 0x40 || bytes[at] === 0x50) && bytes[at + 1] === 2;
      if (!isAck) return;
      const packetId = bytes.readUInt16BE(at + 2);
      this.acked.add(packetId);
      if (!this.#durable.has(packetId)) this.early.push(packetId);
    }
  }
}

/** The strings among a call's arguments, which stand there as `\x41\x42`. */
function bytesOf(args: string): Buffer {
  const hex = [...args.matchAll(/"((?:\\x[0-9a-f]{2})*)"/g)].map(([, one]) => one).join('');
  return Buffer.from(hex.replaceAll('\\x', ''), 'hex');
}

test('no acknowledgement leaves before the fdatasync that covers its record', {
  skip,
}, async (t) => {
  const edge = await startProcess('edge', { flags: ['--edge-cores', '127.0.0.1:1'] });
  const file = join(temporaryFolder(), 'trace');
  const strace = await attach(edge.pid, file);
  if (strace === null) {
    t.skip('this system does not let one process watch another');
    return;
  }
  const ended = once(strace, 'exit');
  const port = edge.port('mqtt');
  await Promise.all(Array.from({ length: clients }, (_, index) => publishAll(port, index)));
  strace.kill('SIGINT');
  await ended;
  const trace = new Trace();
  for (const line of (await readFile(file, 'latin1')).split('\n')) trace.line(line);
  assert.deepEqual([trace.acked.size, trace.early], [clients * perClient, []]);
});

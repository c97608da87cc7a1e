/** Spools on real files for tests: accepted by hand, tidied by hand, killed and started again. */
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../base/clock.ts';
import { Spool } from '../../bridge/spool.ts';
import type { SpoolOptions } from '../../bridge/spool-options.ts';
import { common, publication } from './trunk-world.ts';

export class SpoolWorld {
  readonly #opened: Spool[] = [];
  readonly #folders: string[] = [];
  #directory = '';
  #elapsed = 0;
  #tidy: () => void = () => {};
  /** Of the spool that was opened last. */
  parts = common();

  async open(options: Partial<SpoolOptions> = {}): Promise<Spool> {
    if (this.#directory === '') this.#directory = await this.#newFolder();
    this.parts = common();
    const clock = {
      ...systemClock,
      elapsed: () => this.#elapsed,
      every: (_ms: number, tidy: () => void) => {
        this.#tidy = tidy;
        return () => {};
      },
    };
    const defaults = { directory: this.#directory, bytesMax: 1 << 30 };
    const spool = await Spool.open({ ...this.parts, clock }, { ...defaults, ...options });
    this.#opened.push(spool);
    return spool;
  }

  /** Accepts and waits for the disk. */
  async accept(spool: Spool, topic: string, texts: readonly string[]): Promise<void> {
    let last = 0;
    for (const text of texts) {
      const source = { kind: 'device' } as const;
      const one = { publication: publication(topic, text), source, clientId: '', packetId: 0 };
      last = spool.append({ kind: 'publication', ...one });
    }
    await durable(spool, last);
  }

  /** Time goes on, and the spool is tidied; resolves when what it wrote is on disk. */
  async pass(spool: Spool, seconds: number): Promise<void> {
    this.#elapsed += seconds * 1_000;
    this.#tidy();
    await new Promise((resolve) => setTimeout(resolve, 20));
    await durable(spool, spool.durableThrough);
  }

  /** What a process finds that starts after this one was killed now. */
  async crash(): Promise<void> {
    const crashed = this.#directory;
    this.#directory = await this.#newFolder();
    await cp(crashed, this.#directory, { recursive: true });
  }

  async close(): Promise<void> {
    for (const spool of this.#opened.splice(0)) await spool.close();
    for (const folder of this.#folders.splice(0)) await rm(folder, { recursive: true });
    this.#directory = '';
  }

  async #newFolder(): Promise<string> {
    const folder = await mkdtemp(join(tmpdir(), 'trunkline-spool-'));
    this.#folders.push(folder);
    return folder;
  }
}

export function durable(spool: Spool, sequence: number): Promise<void> {
  return new Promise((resolve) => {
    if (spool.durableThrough >= sequence) return resolve();
    spool.onDurable((through) => {
      if (through >= sequence) resolve();
    });
  });
}

/** What may go up a lane from a place on. */
export async function upwards(spool: Spool, lane: number, from = 1): Promise<string[]> {
  const found: string[] = [];
  for await (const chunk of spool.uplink.readLane(lane, from)) {
    for (const record of chunk) found.push(record.publication.payload.toString());
  }
  return found;
}

/** The load generator of bench/load: compiled once for its sources, then run for each measurement. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { pinnedTo } from './cores.ts';
import type { LoadSettings } from './scenarios.ts';

const run = promisify(execFile);

export interface LoadResult {
  /** Deliveries while it was measured; the books below are of warm-up and drain, too. */
  readonly delivered: number;
  readonly sent: number;
  readonly lost: number;
  readonly reordered: number;
  readonly seconds: number;
  /** CPU seconds: the broker's, the generator's, everyone else's on this machine. */
  readonly brokerCpu: number;
  readonly loadCpu: number;
  readonly otherCpu: number;
  /** Microseconds, of paced loads. */
  readonly p50?: number;
  readonly p99?: number;
  readonly p999?: number;
}

export interface HoldResult {
  readonly connections: number;
  /** By how much the broker's resident memory grew. */
  readonly bytes: number;
  readonly seconds: number;
  readonly brokerCpu: number;
}

export class LoadGenerator {
  readonly #program: string;
  readonly #core: number;

  private constructor(program: string, core: number) {
    this.#program = program;
    this.#core = core;
  }

  static async open(core: number): Promise<LoadGenerator> {
    return new LoadGenerator(await compiled(), core);
  }

  async flow(settings: LoadSettings): Promise<LoadResult> {
    return (await this.#run('flow', settings)) as LoadResult;
  }

  async hold(settings: LoadSettings): Promise<HoldResult> {
    return (await this.#run('hold', settings)) as HoldResult;
  }

  /** The command that runs it in one of its modes. */
  command(mode: string, settings: LoadSettings): readonly [string, ...string[]] {
    const words = Object.entries(settings).map(([name, value]) => `${name}=${value}`);
    const [first = '', ...rest] = [...pinnedTo(this.#core), this.#program, mode, ...words];
    return [first, ...rest];
  }

  async #run(mode: string, settings: LoadSettings): Promise<unknown> {
    const [first, ...rest] = this.command(mode, settings);
    try {
      return JSON.parse((await run(first, rest)).stdout);
    } catch (error) {
      throw new Error(saidBy(error), { cause: error });
    }
  }
}

async function compiled(): Promise<string> {
  const folder = sourceFolder();
  const names = readdirSync(folder).sort();
  const hash = createHash('sha256');
  for (const name of names) hash.update(readFileSync(join(folder, name)));
  const cache = cacheFolder();
  const program = join(cache, `load-${hash.digest('hex').slice(0, 16)}`);
  if (existsSync(program)) return program;
  const compiler = process.env['CC'] ?? 'cc';
  const sources = names.filter((name) => name.endsWith('.c')).map((name) => join(folder, name));
  const fresh = `${program}-${process.pid}`;
  try {
    await run(compiler, ['-O2', '-std=gnu11', '-o', fresh, ...sources]);
  } catch (error) {
    const remedy = 'install one (Debian: apt-get install gcc libc6-dev) or name one in CC';
    throw new Error(
      `The load generator needs a C compiler; ${remedy}. ${compiler} said: ${saidBy(error)}`,
      { cause: error },
    );
  }
  // Two runs at once may both compile; a name that is there is always a whole program.
  renameSync(fresh, program);
  return program;
}

/** The sources stand in the project, not in the folder that it was built to. */
function sourceFolder(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  for (;;) {
    const sources = join(folder, 'bench', 'load');
    if (existsSync(join(sources, 'main.c'))) return sources;
    const parent = dirname(folder);
    if (parent === folder) throw new Error('bench/load/main.c is in no folder above this build.');
    folder = parent;
  }
}

/** Programs of others must not be run from a folder that everyone can write to. */
function cacheFolder(): string {
  const { uid } = userInfo();
  const folder = join(tmpdir(), `trunkline-bench-load-${uid}`);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (statSync(folder).uid === uid) return folder;
  throw new Error(`${folder} belongs to another user; remove it, or set TMPDIR.`);
}

function saidBy(error: unknown): string {
  const { stderr = '', message } = error as Error & { stderr?: string };
  const said = stderr.trim();
  return said === '' ? message : said;
}

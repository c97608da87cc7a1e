/**
 * How many workers a data folder was made with. The count decides which worker keeps whose session,
 * so that another count would leave kept sessions with a worker that their devices never meet. One
 * worker keeps its data where an edge without workers does, and writes no count.
 */
import { access, mkdir, open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '../../base/config.ts';
import { systemCode, TrunklineError } from '../../base/errors.ts';

/** The folder that a worker uses as its data folder; the first worker is 1. */
export function workerFolder(data: string, worker: number): string {
  return join(data, `worker-${worker}`);
}

/** Throws `config-invalid` when the folder belongs to another count. */
export async function claimWorkerCount(config: Config): Promise<void> {
  const { workers } = config.edge;
  const folder = join(config.data, 'edge');
  const earlier = await countIn(folder);
  if (earlier === workers || (earlier === 0 && workers === 1)) return;
  if (earlier === 0) return write(folder, workers);
  throw new TrunklineError(
    'config-invalid',
    `Data folder ${config.data} was made with edge.workers = ${earlier}, not ${workers}: kept sessions would be with workers that their devices no longer meet. Start with --edge-workers ${earlier}, or choose another folder with --data.`,
  );
}

/** 0 for a folder that no edge has used. */
async function countIn(folder: string): Promise<number> {
  const text = await readFile(join(folder, 'workers'), 'utf8').catch((error: unknown) => {
    if (systemCode(error) !== 'ENOENT') throw error;
    return null;
  });
  if (text !== null) return Number(text);
  const hasData = await access(join(folder, 'spool')).then(
    () => true,
    () => false,
  );
  return hasData ? 1 : 0;
}

/** Durable when it resolves: sessions are kept by it from now on. */
async function write(folder: string, workers: number): Promise<void> {
  await mkdir(folder, { recursive: true });
  const file = join(folder, 'workers');
  const handle = await open(`${file}.new`, 'w');
  try {
    await handle.writeFile(`${workers}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(`${file}.new`, file);
  const parent = await open(folder, 'r');
  try {
    await parent.sync();
  } finally {
    await parent.close();
  }
}

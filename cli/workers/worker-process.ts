/** The entry of a worker's process; the supervising process starts it. */
import { runTier } from '../tier.ts';
import { PrimaryLine } from './primary-line.ts';
import { workerTier } from './worker-tier.ts';

const line = new PrimaryLine();
const { stdout, stderr, env } = process;
process.exitCode = await runTier(workerTier(line), process.argv.slice(2), { stdout, stderr, env });

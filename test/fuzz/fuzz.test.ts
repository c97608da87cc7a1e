/**
 * Fuzzed MQTT 3.1.1 and 5 over TCP and WebSocket against a running edge: a short run in `npm test`,
 * a long one with `npm run fuzz -- --frames 1000000 --seed 7`. The seed repeats what each client
 * sends, if not the moment.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseArgs } from 'node:util';
import { Random } from '../support/random.ts';
import { type Progress, runCampaign } from './campaign.ts';

const { values } = parseArgs({
  options: { seed: { type: 'string' }, frames: { type: 'string' } },
  strict: false,
});
const frames = Number(values.frames ?? 20_000);
const isLong = frames > 100_000;
const seed = values.seed === undefined ? Random.fromEnvironment().seed : Number(values.seed);

function show(progress: Progress): void {
  if (isLong) process.stderr.write(`${JSON.stringify(progress)}\n`);
}

test('an edge serves others, keeps nothing and logs no error under fuzzed frames', {
  timeout: 60_000 + frames * 3,
}, async (t) => {
  if (isLong) process.stderr.write(`fuzz: ${frames} frames, --seed ${seed}\n`);
  t.diagnostic(`seed ${seed}`);
  const progress = await runCampaign({ seed, frames, onProgress: show });
  t.diagnostic(JSON.stringify(progress));
  assert.ok(progress.exchanged > 0);
});

test('an edge that ends under fuzzed frames is noticed', async () => {
  const run = runCampaign({
    seed,
    frames: 2_000,
    onStart: (edge) => void edge.kill('SIGABRT'),
  });
  await assert.rejects(run, /the edge ended with SIGABRT/);
});

/**
 * A few faults of those that `npm run chaos` draws by the hundred. TRUNKLINE_SEED draws others.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runChaos } from '../chaos/chaos.ts';
import { Random } from '../support/random.ts';

const faultCount = 5;
const usualSeed = 20_261_123;

test('faults of any kind in a row lose nothing acknowledged, double no QoS 2, reorder nothing', {
  timeout: 240_000,
}, async (t) => {
  const seed = Number(process.env['TRUNKLINE_SEED'] ?? usualSeed);
  const tell = (line: string) => t.diagnostic(line);
  tell(`TRUNKLINE_SEED=${seed}`);
  const result = await runChaos({ random: new Random(seed), faults: faultCount, tell });
  const { acked, lost, doubled, reordered, repeated } = result;
  tell(`acked ${acked}, repeated at QoS 1 ${repeated}`);
  assert.ok(acked > 0);
  for (const list of [lost, doubled, reordered]) assert.deepEqual(list.slice(0, 20), []);
});

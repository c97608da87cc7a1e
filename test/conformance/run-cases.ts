/**
 * Runs each case twice: against Trunkline, where it must hold, and against the embedded broker on
 * its own, where it must not. A case that holds for both would prove nothing.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ConformanceCase, Server } from './server.ts';
import { openStock } from './stock-server.ts';
import { openTrunkline } from './trunkline-server.ts';

export function runCases(cases: readonly ConformanceCase[], openOther = openStock): void {
  for (const one of cases) {
    test(one.name, async () => {
      await runCase(one, await openTrunkline(one.limits ?? {}));
    });
    test(`the check can fail: ${one.name}`, async () => {
      const server = await openOther();
      await assert.rejects(runCase(one, server), (error: Error) => {
        assert.match(error.message, one.finding);
        return true;
      });
    });
  }
}

async function runCase(one: ConformanceCase, server: Server): Promise<void> {
  try {
    await one.run(server);
  } finally {
    await server.close();
  }
}

/** Commands of the core to an edge, over a real control stream: answered, refused, late, or cut. */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../../base/clock.ts';
import { AttachedEdges } from '../../core/trunk/attached-edges.ts';
import { EdgeCommands } from '../../core/trunk/edge-commands.ts';
import { Located_Stage } from '../../proto/gen/trunkline/v1/trunk.ts';
import { known } from '../support/known.ts';
import { TestCore, TestEdge, withFolder } from '../support/trunk-world.ts';
import { until } from '../support/until.ts';

const redirect = {
  $case: 'redirect',
  value: { address: '', withinMs: 1, reason: 'drill' },
} as const;
const locate = { $case: 'locate', value: { epoch: 'e', lane: 1, sequence: 7 } } as const;

async function withEdge(
  prepare: (edge: TestEdge) => void,
  work: (core: TestCore, edge: TestEdge) => Promise<void>,
): Promise<void> {
  await withFolder(async (folder) => {
    const core = await TestCore.open(join(folder, 'log.db'));
    const edge = new TestEdge('edge-a', core.port);
    prepare(edge);
    await edge.start();
    try {
      await work(core, edge);
    } finally {
      await edge.bridge.close();
      await core.close();
    }
  });
}

test('a command is answered with what its handler found', async () => {
  const located = { stage: Located_Stage.SENT, epoch: '', topic: 't', acceptedAtMs: 5 };
  await withEdge(
    (edge) =>
      edge.bridge.commands.handle('locate', ({ sequence }) => ({
        ...located,
        topic: `${sequence}`,
      })),
    async (core) => {
      const result = await core.edges.send('edge-a', locate);
      assert.deepEqual(known(result.located), { ...located, topic: '7' });
    },
  );
});

test("a handler that throws is a refusal in the edge's own words", async () => {
  await withEdge(
    (edge) =>
      edge.bridge.commands.handle('redirect', () => {
        throw new Error('I have nowhere to go.');
      }),
    async (core) => {
      const sent = core.edges.send('edge-a', redirect);
      await assert.rejects(sent, { code: 'command-refused', message: /edge-a.*nowhere to go/ });
    },
  );
});

test('an edge that does not know a command is not sent it, and one that is absent is named', async () => {
  const sent: unknown[] = [];
  const write = (command: unknown) => sent.push(command);
  const commands = new EdgeCommands(systemClock, { edgeId: 'old', capabilities: ['rules'], write });
  await assert.rejects(commands.send(redirect), { code: 'unsupported', message: /old.*redirect/ });
  assert.deepEqual(sent, []);
  await assert.rejects(new AttachedEdges().send('edge-b', redirect), { code: 'edge-unknown' });
});

test('a command that is not answered ends at its deadline, and when the edge goes', async () => {
  const forever = new Promise<void>(() => {});
  await withEdge(
    (edge) => edge.bridge.commands.handle('redirect', () => forever),
    async (core, edge) => {
      const late = core.edges.send('edge-a', redirect, 20);
      await assert.rejects(late, { code: 'unreachable', message: /20 ms/ });
      const cut = core.edges.send('edge-a', redirect);
      const rejected = assert.rejects(cut, { code: 'unreachable', message: /went/ });
      await edge.bridge.close();
      await rejected;
      await until(() => core.edges.all().length === 0, 'the edge is detached');
    },
  );
});

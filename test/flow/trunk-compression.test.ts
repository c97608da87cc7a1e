/** Payloads deflated on the trunk: over a link with a round trip, both ways, for ends that can. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { startProxy, type TcpProxy } from '../support/proxy.ts';
import { publication, TestCore, TestEdge, withFolder } from '../support/trunk-world.ts';
import { until } from '../support/until.ts';

interface World {
  readonly core: TestCore;
  readonly a: TestEdge;
  readonly b: TestEdge;
}

async function withLink(
  of: { readonly delayMs: number; readonly compresses: boolean },
  work: (world: World) => Promise<void>,
): Promise<void> {
  await withFolder(async (folder) => {
    const core = await TestCore.open(join(folder, 'log.db'));
    const proxy: TcpProxy = await startProxy(core.port);
    proxy.delay(of.delayMs);
    const bridge = { compresses: of.compresses };
    const a = new TestEdge('a', proxy.port, { bridge });
    const b = new TestEdge('b', proxy.port, { bridge });
    try {
      await a.start();
      await b.start();
      await b.want('meters/#');
      await work({ core, a, b });
    } finally {
      await a.bridge.close();
      await b.bridge.close();
      proxy.close();
      await core.close();
    }
  });
}

const readings = (from: number) =>
  Array.from({ length: 200 }, (_, i) =>
    JSON.stringify({ deviceId: `meter-${i % 7}`, number: from + i, volts: 230, status: 'ok' }),
  );

const deflated = (of: TestCore | TestEdge) =>
  Number(/^trunkline_deflate_in_bytes_total (\d+)$/m.exec(of.parts.metrics.text())?.[1]);

/** Sends until the condition holds; answers everything that was sent. */
async function sendUntil({ a, b }: World, isEnough: () => boolean): Promise<string[]> {
  const sent: string[] = [];
  await until(async () => {
    const more = readings(sent.length);
    sent.push(...more);
    a.spool.append(more.map((text) => publication('meters/all', text)));
    await b.receives(sent.length);
    return isEnough();
  }, 'enough was sent');
  return sent;
}

test('over a link with a round trip payloads are deflated up and down, and arrive as they were', async () => {
  await withLink({ delayMs: 5, compresses: true }, async (world) => {
    const { a, b, core } = world;
    const sent = await sendUntil(world, () => deflated(a) > 0 && deflated(core) > 0);
    assert.deepEqual(b.payloads('meters/all'), sent);
    const out = /^trunkline_deflate_out_bytes_total (\d+)$/m.exec(a.parts.metrics.text())?.[1];
    assert.ok(Number(out) < deflated(a) * 0.5);
  });
});

test('an end that does not name it is served plain', async () => {
  await withLink({ delayMs: 5, compresses: false }, async (world) => {
    let rounds = 0;
    const sent = await sendUntil(world, () => ++rounds === 5);
    assert.deepEqual(world.b.payloads('meters/all'), sent);
    assert.equal(deflated(world.a) + deflated(world.core), 0);
  });
});

/** Many connects at once with one client identifier: one is left, and what it costs is bounded. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openLocalBroker } from '../support/local-broker.ts';
import { connectPacket, RawClient } from '../support/raw-client.ts';
import { until } from '../support/until.ts';

const count = 600;

test('connects with one identifier do not pile up listeners on each other', async () => {
  const warnings: string[] = [];
  const listen = (warning: Error) => void warnings.push(warning.name);
  process.on('warning', listen);
  const edge = await openLocalBroker();
  const raws = await Promise.all(Array.from({ length: count }, () => RawClient.open(edge.port)));
  let open = count;
  for (const raw of raws) void raw.closed.then(() => open--);
  for (const raw of raws) raw.send(connectPacket('crowd', { clean: false }));
  await until(() => open === 1, 'one is left');
  const left = raws.find((raw) => !raw.socket.destroyed);
  assert.deepEqual((await left?.nextOf(2))?.body[1], 0);
  // Most were ended while they waited, before they had a session.
  assert.match(
    edge.metrics.text(),
    /trunkline_connections_refused_total\{reason="taken-over"\} \d+/,
  );
  assert.deepEqual(warnings, []);
  process.off('warning', listen);
  for (const raw of raws) raw.destroy();
  await edge.discard();
});

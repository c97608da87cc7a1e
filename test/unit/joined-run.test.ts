/** Publications joined to a run: what goes in comes out, and what differs stays apart. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Publication, Qos } from '../../base/publication.ts';
import { canJoin, joinedRun } from '../../proto/joined-run.ts';

const one: Publication = {
  topic: 'fleet/ü/speed',
  payload: Buffer.from('1'),
  qos: 1,
  retain: false,
  properties: null,
  acceptedAt: 1_000,
  origin: 'edge-a',
};

test('publications come out of a run as they went in', () => {
  const payloads = fc.array(fc.uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 30 });
  fc.assert(
    fc.property(payloads, fc.constantFrom<Qos>(0, 1, 2), (all, qos) => {
      const publications = all.map((payload) => ({ ...one, qos, payload: Buffer.from(payload) }));
      const run = joinedRun(publications);
      assert.equal(run.count, all.length);
      assert.deepEqual(run.publications(), publications);
    }),
  );
});

test('only what has everything but its payload in common is joined, without retain or properties', () => {
  const others: Partial<Publication>[] = [
    { topic: 'fleet/7/speed' },
    { qos: 2 },
    { acceptedAt: 1_001 },
    { origin: 'edge-b' },
    { retain: true },
    { properties: Buffer.from([1, 1]) },
  ];
  assert.ok(canJoin(one, { ...one, payload: Buffer.from('2') }));
  for (const other of others) {
    assert.ok(!canJoin(one, { ...one, ...other }), JSON.stringify(other));
    assert.ok(!canJoin({ ...one, ...other }, one), JSON.stringify(other));
  }
});

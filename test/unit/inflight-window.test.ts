/** Packet identifiers in flight, against a plain set: never twice, and all come back. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Delivery } from '../../broker/delivery.ts';
import { InflightWindow } from '../../broker/inflight-window.ts';

const delivery: Delivery = {
  sequence: 1,
  qos: 1,
  retain: false,
  publication: null,
  identifiers: [],
  owner: null,
};

const steps = fc.array(
  fc.record({
    launch: fc.constantFrom('kept', 'passing 1', 'passing 2', 'none'),
    times: fc.integer({ min: 1, max: 300 }),
    /** Which of those in flight is released after it, as a part of their number. */
    release: fc.double({ min: 0, max: 1, noNaN: true }),
    releases: fc.integer({ min: 0, max: 300 }),
  }),
  { maxLength: 60 },
);

function launch(window: InflightWindow, how: string): number {
  if (how === 'kept') return window.launch(delivery);
  return window.launchPassing(how === 'passing 1' ? 1 : 2);
}

test('an identifier is given out again only after it was released', () => {
  fc.assert(
    fc.property(steps, (all) => {
      const window = new InflightWindow();
      const inUse = new Map<number, string>();
      for (const { launch: how, times, release, releases } of all) {
        for (let i = 0; i < times && how !== 'none'; i++) {
          const packetId = launch(window, how);
          assert.ok(packetId >= 1 && packetId <= 65_535 && !inUse.has(packetId));
          inUse.set(packetId, how);
        }
        for (let i = 0; i < releases && inUse.size > 0; i++) {
          const packetId = [...inUse.keys()][Math.floor(release * (inUse.size - 1))] as number;
          window.release(packetId);
          inUse.delete(packetId);
        }
        assert.equal(window.size, inUse.size);
        assert.deepEqual(new Set(window.entries().map(([id]) => id)), new Set(inUse.keys()));
      }
      for (const [packetId, how] of inUse) {
        assert.equal(window.get(packetId)?.qos, how === 'passing 2' ? 2 : 1);
      }
    }),
    { numRuns: 50 },
  );
});

test('identifiers wrap around past the ones that are still in flight', () => {
  const window = new InflightWindow();
  const held = [window.launchPassing(1), window.launch(delivery), window.launchPassing(2)];
  for (let i = 0; i < 70_000; i++) {
    const packetId = window.launchPassing(1);
    assert.ok(!held.includes(packetId));
    window.release(packetId);
  }
  assert.equal(window.size, 3);
  assert.equal(window.get(0), undefined);
});

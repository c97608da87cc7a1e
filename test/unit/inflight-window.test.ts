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

/** What is in flight, with how it was launched. */
class Check {
  readonly window = new InflightWindow();
  readonly inUse = new Map<number, string>();

  launch(how: string): void {
    const { window } = this;
    const packetId =
      how === 'kept'
        ? window.launch(delivery)
        : window.launchPassing(how === 'passing 1' ? 1 : 2, 0);
    assert.ok(packetId >= 1 && packetId <= 65_535 && !this.inUse.has(packetId));
    this.inUse.set(packetId, how);
  }

  release(part: number): void {
    const packetIds = [...this.inUse.keys()];
    const packetId = packetIds[Math.floor(part * (packetIds.length - 1))];
    if (packetId === undefined) return;
    this.window.release(packetId);
    this.inUse.delete(packetId);
  }
}

test('an identifier is given out again only after it was released', () => {
  fc.assert(
    fc.property(steps, (all) => {
      const check = new Check();
      const { window, inUse } = check;
      for (const { launch, times, release, releases } of all) {
        for (let i = 0; i < times && launch !== 'none'; i++) check.launch(launch);
        for (let i = 0; i < releases; i++) check.release(release);
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
  const held = [window.launchPassing(1, 0), window.launch(delivery), window.launchPassing(2, 0)];
  for (let i = 0; i < 70_000; i++) {
    const packetId = window.launchPassing(1, 0);
    assert.ok(!held.includes(packetId));
    window.release(packetId);
  }
  assert.equal(window.size, 3);
  assert.equal(window.get(0), undefined);
});

test('what left in runs of a kept session is sent again in the order in which all was sent', () => {
  const window = new InflightWindow();
  const sent: number[] = [];
  for (let sequence = 1; sequence <= 300; sequence++) {
    const isSingle = sequence % 7 === 0;
    sent.push(isSingle ? window.launch(delivery) : window.launchPassing(1, sequence));
    if (sequence % 3 === 0) window.release(sent.splice(sent.length >> 1, 1)[0] as number);
  }
  const owed = new Map(sent.map((packetId) => [packetId, window.owedBy(packetId)]));
  window.suspend();
  assert.deepEqual(
    window.entries().map(([packetId]) => packetId),
    sent,
  );
  for (const [packetId, { delivery: again }] of window.entries()) {
    const sequence = owed.get(packetId) as number;
    if (sequence > 0) assert.equal(again?.sequence, sequence);
    else assert.equal(again, delivery);
  }
});

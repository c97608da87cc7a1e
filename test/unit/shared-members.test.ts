/** Who of a shared subscription gets the next message. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SharedMembers, type SharedStrategy } from '../../broker/routing/shared-members.ts';
import type { GrantedSubscription, Session } from '../../broker/session.ts';

interface Fake {
  readonly clientId: string;
  readonly identity: { isKept: boolean };
  readonly outbox: {
    isConnected: boolean;
    isCrowded: boolean;
    hasRoomToSpare: boolean;
    queuedCount: number;
    inflightCount: number;
  };
}

const granted = { qos: 1 } as GrantedSubscription;

function fake(clientId: string, isKept = false): Fake {
  const outbox = { isConnected: true, isCrowded: false, hasRoomToSpare: true };
  return {
    clientId,
    identity: { isKept },
    outbox: { ...outbox, queuedCount: 0, inflightCount: 0 },
  };
}

function open(strategy: SharedStrategy, fakes: readonly Fake[]): SharedMembers {
  const members = new SharedMembers(strategy);
  for (const one of fakes) members.add(one as unknown as Session, granted);
  return members;
}

function choose(members: SharedMembers, key = ''): string | null {
  return members.choose(key)?.session.clientId ?? null;
}

function chooseMany(members: SharedMembers, count: number): string {
  return Array.from({ length: count }, () => choose(members)).join('');
}

test('in turn: who does not keep up is passed over, and is asked when nobody does', () => {
  const [a, b, c] = [fake('a'), fake('b'), fake('c')];
  const members = open('round-robin', [a, b, c]);
  assert.equal(chooseMany(members, 5), 'abcab');
  b.outbox.isCrowded = true;
  assert.equal(chooseMany(members, 4), 'caca');
  a.outbox.isCrowded = true;
  c.outbox.isCrowded = true;
  assert.equal(new Set(chooseMany(members, 3)).size, 3);
});

test('who is away gets nothing while another is connected; then kept ones do, in turn', () => {
  const [a, b, c] = [fake('a', true), fake('b', true), fake('c')];
  const members = open('round-robin', [a, b, c]);
  a.outbox.isConnected = false;
  b.outbox.isConnected = false;
  members.presenceChanged();
  assert.equal(chooseMany(members, 3), 'ccc');
  members.remove(c as unknown as Session);
  assert.equal(new Set(chooseMany(members, 2)).size, 2);
  for (const one of [a, b]) members.remove(one as unknown as Session);
  assert.equal(choose(members), null);
});

test('sticky: when a member goes only its publishers go to others', () => {
  const fakes = ['a', 'b', 'c', 'd'].map((clientId) => fake(clientId));
  const members = open('sticky', fakes);
  const keys = Array.from({ length: 400 }, (_, i) => `device-${i}`);
  const before = new Map(keys.map((key) => [key, choose(members, key)]));
  for (const one of fakes) {
    const count = [...before.values()].filter((chosen) => chosen === one.clientId).length;
    assert.ok(count > 50, `${one.clientId} has ${count} of 400`);
  }
  members.remove(fakes[1] as unknown as Session);
  for (const key of keys) {
    if (before.get(key) !== 'b') assert.equal(choose(members, key), before.get(key));
  }
});

test('least loaded: what waits and what is in flight counts, and the idle take turns', () => {
  const [a, b, c] = [fake('a'), fake('b'), fake('c')];
  const members = open('least-loaded', [a, b, c]);
  a.outbox.queuedCount = 3;
  b.outbox.inflightCount = 2;
  c.outbox.inflightCount = 5;
  assert.equal(choose(members), 'b');
  for (const one of [a, b, c]) Object.assign(one.outbox, { queuedCount: 0, inflightCount: 0 });
  assert.equal(new Set(chooseMany(members, 3)).size, 3);
});

test('what is owed goes to nobody whose subscription grants QoS 0', () => {
  const members = new SharedMembers('round-robin');
  members.add(fake('a') as unknown as Session, { ...granted, qos: 0 });
  assert.equal(choose(members), 'a');
  assert.equal(members.chooseForOwed('1'), null);
});

/** Group commit with a disk that fails: nothing is announced before it is written. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '../../base/clock.ts';
import { createLog } from '../../base/log.ts';
import { GroupCommit, type Queued } from '../../bridge/group-commit.ts';

const log = createLog({ level: 'silent', format: 'json', tier: 'test' });

/** A clock whose waits end at once. */
const hurried: Clock = {
  now: () => 0,
  elapsed: () => 0,
  after: (_ms, fn) => {
    setImmediate(fn);
    return () => {};
  },
  every: () => () => {},
};

function item(sequence: number): Queued {
  return { sequence, bytes: Buffer.alloc(10) };
}

test('a failed write is tried again, in a fresh place, and announced once', async () => {
  const attempts: { sequences: number[]; afresh: boolean }[] = [];
  const announced: number[] = [];
  let failures = 2;
  const commit = new GroupCommit(
    { log, clock: hurried },
    {
      write: async (group, afresh) => {
        attempts.push({ sequences: group.map((one) => one.sequence), afresh });
        if (failures-- > 0) throw new Error('ENOSPC');
      },
      committed: (group) => announced.push(...group.map((one) => one.sequence)),
      failed: () => assert.deepEqual(announced, []),
    },
  );
  commit.add(item(1));
  commit.add(item(2));
  await commit.close();
  assert.deepEqual(attempts, [
    { sequences: [1, 2], afresh: false },
    { sequences: [1, 2], afresh: true },
    { sequences: [1, 2], afresh: true },
  ]);
  assert.deepEqual(announced, [1, 2]);
  assert.equal(commit.waitingBytes, 0);
});

test('what arrives during a write goes into the next one', async () => {
  const groups: number[][] = [];
  const commit: GroupCommit<Queued> = new GroupCommit<Queued>(
    { log, clock: hurried },
    {
      write: async (group) => {
        groups.push(group.map((one) => one.sequence));
        if (groups.length === 1) {
          commit.add(item(2));
          commit.add(item(3));
        }
      },
      committed: () => {},
      failed: () => {},
    },
  );
  commit.add(item(1));
  await commit.close();
  assert.deepEqual(groups, [[1], [2, 3]]);
});

test('a commit that may linger waits for its time, or for enough bytes', async () => {
  const waits: (() => void)[] = [];
  const clock: Clock = {
    ...hurried,
    after: (_ms, fn) => {
      waits.push(fn);
      return () => waits.splice(waits.indexOf(fn), 1);
    },
  };
  const groups: number[][] = [];
  let commits = () => {};
  const commit = new GroupCommit(
    { log, clock, bounds: { lingerMs: 50, bytesMax: 35 } },
    {
      write: async (group) => {
        groups.push(group.map((one) => one.sequence));
      },
      committed: () => commits(),
      failed: () => {},
    },
  );
  const committed = () =>
    new Promise<void>((resolve) => {
      commits = resolve;
    });
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  commit.add(item(1));
  await turn();
  commit.add(item(2));
  await turn();
  assert.deepEqual(groups, []);
  const first = committed();
  waits.shift()?.();
  await first;
  assert.deepEqual(groups, [[1, 2]]);
  const second = committed();
  for (const sequence of [3, 4, 5, 6, 7]) commit.add(item(sequence));
  await second;
  // 35 bytes are reached without any time gone by, and are about what one write carries.
  assert.deepEqual(groups[1], [3, 4, 5, 6]);
  await commit.close();
  assert.deepEqual(groups[2], [7]);
});

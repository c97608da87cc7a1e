/** What a session that has ended still settles, such as a message that was being read back. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SessionJournal } from '../../broker/session-journal.ts';
import type { StateStore } from '../../broker/store/state-store.ts';

test('a session that has ended writes no more rows, and still lets go of its messages', () => {
  const written: string[] = [];
  const settled: number[] = [];
  const table = (name: string) => ({
    put: () => written.push(`${name} put`),
    delete: () => written.push(`${name} delete`),
  });
  const store = {
    inflight: table('inflight'),
    settled: table('settled'),
    received: table('received'),
  };
  const journal = new SessionJournal(
    {
      store: store as unknown as StateStore,
      saveSettled: (through) => void written.push(`session ${through}`),
      onSettled: (sequence) => void settled.push(sequence),
      onFailure: assert.ifError,
    },
    { clientId: 'device', settledThrough: 0, ahead: new Set() },
  );
  for (const sequence of [1, 2, 3]) journal.expect(sequence);
  journal.settled(1);
  assert.deepEqual(written, ['session 1']);
  journal.end();
  journal.settled(3);
  journal.settled(2);
  journal.launched(7, 2);
  journal.landed(7);
  journal.noteReceived(8);
  journal.forgetReceived(8);
  assert.deepEqual([written, settled], [['session 1'], [1, 3, 2]]);
});

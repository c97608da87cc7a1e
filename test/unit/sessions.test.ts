/** Which sessions end by themselves. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../base/clock.ts';
import { configSchema } from '../../base/config-schema.ts';
import { Ledger } from '../../base/ledger.ts';
import { createLog } from '../../base/log.ts';
import { Metrics } from '../../base/metrics.ts';
import { Sessions, type SessionsParts } from '../../broker/sessions.ts';

test('a session ends by its expiry, but not between CONNECT and CONNACK', () => {
  let now = 1_000_000;
  const expired: string[] = [];
  const store = { sessions: { put: () => {} }, dropSession: () => {} };
  const parts = {
    log: createLog({ level: 'silent', format: 'json', tier: 'test' }),
    clock: { ...systemClock, now: () => now },
    ledger: new Ledger(new Metrics()),
    store,
    messageLog: { acceptedThrough: 0, appendedThrough: 0 },
    parking: {},
    router: {},
    listener: { sessionChanged: () => {}, sessionRemoved: () => {} },
    onEnded: () => {},
    onExpired: (one: { clientId: string }) => expired.push(one.clientId),
  } as unknown as SessionsParts;
  const limits = configSchema.parse({ limits: { session_expiry_seconds: 60 } }).limits;
  const sessions = new Sessions(parts, limits);
  const who = { clientId: 'c', cleanStart: false, username: '', expirySeconds: 60 };
  const { session } = sessions.open(who);
  sessions.expire();
  assert.equal(sessions.get('c'), session);
  session.disconnected('closed-by-client', now);
  now += 59_000;
  // It comes back in the last moment, and its connection is not there yet.
  assert.equal(sessions.open(who).wasPresent, true);
  now += 2_000;
  sessions.expire();
  assert.equal(sessions.get('c'), session);
  session.disconnected('closed-by-client', now);
  now += 61_000;
  sessions.expire();
  assert.equal(sessions.get('c'), undefined);
  assert.deepEqual(expired, ['c']);
  // Not looked for yet, but over all the same.
  sessions.open(who).session.disconnected('closed-by-client', now);
  now += 60_000;
  assert.equal(sessions.open(who).wasPresent, false);
});

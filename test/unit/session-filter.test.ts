/** The filter of session queries: what matches, and where an error points. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseSessionFilter } from '../../core/sessions/session-filter.ts';
import { type Session, SessionState } from '../../proto/gen/trunkline/v1/session.ts';
import { session } from '../support/front.ts';

const meter = session('meter-1', { edgeId: 'north', username: 'a "b" c' });
const kept = session('meter-2', { edgeId: 'south', state: SessionState.KEPT });
const door = session('door-1', { edgeId: 'north', gatewayId: 'gw-1', protocol: 'grpc' });

function matching(filter: string): string[] {
  const { matches } = parseSessionFilter(filter);
  return [meter, kept, door].filter((one: Session) => matches(one)).map((one) => one.clientId);
}

test('an empty filter matches every session', () => {
  assert.deepEqual(matching(''), ['meter-1', 'meter-2', 'door-1']);
  assert.deepEqual(matching('  '), ['meter-1', 'meter-2', 'door-1']);
});

test('terms are joined by AND, spaces around operators do not matter', () => {
  assert.deepEqual(matching('state = connected AND client_id = meter-*'), ['meter-1']);
  assert.deepEqual(matching('client_id=meter-* AND edge_id!=north'), ['meter-2']);
  assert.deepEqual(matching('state != connected'), ['meter-2']);
});

test('a value in quotes may have spaces, quotes and a literal star', () => {
  assert.deepEqual(matching('username = "a \\"b\\" c"'), ['meter-1']);
  assert.deepEqual(matching('username = "a \\"*"'), ['meter-1']);
  assert.deepEqual(matching('username = "a \\*"'), []);
  assert.deepEqual(matching('gateway_id = ""'), ['meter-1', 'meter-2']);
});

test('the prefix of client identifiers is known to whoever walks them in order', () => {
  const { clientIdPrefix } = parseSessionFilter('state = kept AND client_id = meter-*');
  assert.equal(clientIdPrefix, 'meter-');
  assert.equal(parseSessionFilter('client_id != meter-1').clientIdPrefix, '');
  assert.equal(parseSessionFilter('client_id = meter-1').isOneClient, true);
  assert.equal(parseSessionFilter('client_id = meter-*').isOneClient, false);
});

for (const [filter, message] of [
  ['state = connected AND foo = 1', /filter: unknown field 'foo' at character 23; fields are /],
  ['= 1', /filter: expected a field at character 1; fields are client_id, edge_id/],
  ['client_id meter', /filter: expected = or != after 'client_id' at character 11/],
  ['client_id =', /filter: expected a value for 'client_id' at character 12/],
  ['client_id = a OR client_id = b', /filter: expected AND at character 15, found "OR"/],
  ['client_id = "a', /filter: the value at character 13 has no closing quote/],
  [
    'state = online',
    /filter: unknown state 'online' at character 9; states are connected and kept/,
  ],
  ['client_id = a AND', /filter: expected a field at character 18/],
] as const) {
  test(`"${filter}" is refused with the place of the fault`, () => {
    assert.throws(() => parseSessionFilter(filter), { code: 'query-invalid', message });
  });
}

test('a filter without bounds is refused', () => {
  const many = Array.from({ length: 21 }, () => 'state = kept').join(' AND ');
  assert.throws(() => parseSessionFilter(many), /more than 20 terms at character/);
  assert.throws(() => parseSessionFilter(' '.repeat(2_001)), /at most 2000 are taken/);
});

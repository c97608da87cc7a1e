/** What operators do with rules: try a change dry, look back, roll back, and the command for it. */

import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { credentials } from '@grpc/grpc-js';
import { main } from '../../cli/main.ts';
import {
  FleetServiceClient,
  type GetRulesResponse,
  type ListRuleVersionsResponse,
  type RollbackRulesResponse,
  type SetRulesResponse,
} from '../../proto/gen/trunkline/v1/fleet.ts';
import { Rule_Direction, Rule_Priority } from '../../proto/gen/trunkline/v1/trunk.ts';
import { testIo } from '../support/command-io.ts';
import { known } from '../support/known.ts';
import { temporaryFolder } from '../support/processes.ts';
import { down, RulesWorld, up } from '../support/rules-world.ts';

let world: RulesWorld;

before(async () => {
  world = await RulesWorld.start();
});

afterEach(() => world.clear());

after(() => world.stop());

async function run(args: string[]) {
  const io = testIo();
  const code = await main(['rules', ...args], io);
  return { code, stdout: io.stdout.text, stderr: io.stderr.text };
}

test('a dry run tells what would change place, and changes nothing', async () => {
  await world.subscriberOnB('dry/#');
  const before = await world.versions();
  const told = await world.change({
    rules: [down('dry/wet', { prefix: 'p/' }), up('dry/#', { deny: true })],
    dry_run: true,
    sample_topics: ['dry/wet'],
  });
  assert.deepEqual(await world.versions(), before);
  const edge = told.edges.find(({ edge_id }) => edge_id === 'edge-b');
  assert.deepEqual(edge?.filters, [{ filter: 'dry/#', before: ['dry/#'], after: ['p/dry/wet'] }]);
  const places = edge?.topics.map(({ direction, before: was, after: is }) => {
    return [direction, was.topic, was.goes, is.topic, is.goes, is.rule];
  });
  assert.deepEqual(places, [
    ['up', 'dry/wet', true, '', false, 2],
    ['down', 'dry/wet', true, 'p/dry/wet', true, 1],
  ]);
});

test('an earlier version comes back as a new one, and a change of something else is refused', async () => {
  const first = await world.change({ rules: [up('a')], comment: 'first' });
  const second = await world.change({ rules: [up('b')], expected_version: first.version });
  const stale = await world.post('/v1/rules', { rules: [], expected_version: first.version });
  assert.equal(stale.status, 409);
  assert.match(JSON.stringify(stale.body), new RegExp(`version ${second.version}, not`));
  const back = await world.change({ version: first.version }, '/v1/rules:rollback');
  assert.equal(back.version, second.version + 1);
  const [newest, , oldest] = await world.versions();
  assert.deepEqual(newest?.rules, oldest?.rules);
  assert.equal(newest?.comment, `as version ${first.version}`);
  const gone = await world.post('/v1/rules:rollback', { version: 999_999 });
  assert.equal(gone.status, 404);
  const faulty = await world.post('/v1/rules', { rules: [up('a'), up('a#')] });
  assert.equal(faulty.status, 400);
  assert.match(JSON.stringify(faulty.body), /Rule 2 has the filter/);
});

test('a page of another site cannot change rules: without its type a body is refused', async () => {
  const response = await fetch(`${world.http}/v1/rules`, {
    method: 'POST',
    body: JSON.stringify({ rules: [] }),
  });
  assert.equal(response.status, 400);
});

test('the command reads TOML, shows a dry run, sets, lists and rolls back', async () => {
  const file = join(temporaryFolder(), 'rules.toml');
  await writeFile(file, '[[rules]]\ndirection = "up"\nfilter = "plant/#"\nprefix = "site-1/"\n');
  const http = ['--http', world.http];
  const dry = await run(['set', file, 'plant/x', 'office', '--dry-run', ...http]);
  assert.match(dry.stdout, /Nothing was changed/);
  assert.match(dry.stdout, /up plant\/x: plant\/x \(no rule\) -> site-1\/plant\/x \(rule 1\)/);
  assert.match(dry.stdout, /up office: office \(no rule\) -> does not go \(no rule\)/);
  const set = await run(['set', file, '-m', 'site 1', ...http]);
  assert.equal(set.code, 0);
  assert.match(set.stdout, /edge-a: in force/);
  const shown = await run(['get', ...http]);
  const copy = join(temporaryFolder(), 'copy.toml');
  await writeFile(copy, shown.stdout);
  const again = await run(['set', copy, ...http]);
  assert.equal(again.code, 0, again.stderr);
  const history = await run(['history', ...http]);
  assert.match(history.stdout, /1 rule\. In force\.\n.*1 rule \(site 1\)\./);
  await writeFile(file, '[[rules]]\ndirection = "up"\nfilter = "a#"\n');
  const faulty = await run(['set', file, ...http]);
  assert.equal(faulty.code, 1);
  assert.match(faulty.stderr, /Rule 1 has the filter "a#"/);
  const version = /Version (\d+)/.exec(set.stdout)?.[1] ?? '';
  const back = await run(['rollback', version, ...http]);
  assert.match(back.stdout, /is in force/);
});

test('the same over gRPC: set, get, versions, rollback, and what is wrong with a rule', async () => {
  const address = `127.0.0.1:${world.fleet.core.port('gateway')}`;
  const client = new FleetServiceClient(address, credentials.createInsecure());
  const rule = {
    direction: Rule_Direction.UP,
    filter: 'rpc/#',
    prefix: '',
    maximumQos: 1,
    priority: Rule_Priority.HIGH,
    deny: false,
  };
  const request = { name: '', expectedVersion: 0, dryRun: false, comment: '', remove: false };
  const set = (filter: string) =>
    called<SetRulesResponse>((done) =>
      client.setRules({ ...request, rules: [{ ...rule, filter }], sampleTopics: [] }, done),
    );
  const { change } = await set('rpc/#');
  assert.deepEqual(
    change?.edges.map((edge) => edge.acknowledged),
    [true, true],
  );
  const { rules } = await called<GetRulesResponse>((done) =>
    client.getRules({ name: 'default' }, done),
  );
  assert.deepEqual(known(rules?.rules), [rule]);
  await assert.rejects(set('a#'), { code: 3, details: /Rule 1 has the filter/ });
  await set('other');
  const back = { name: '', version: rules?.version ?? 0, expectedVersion: 0, dryRun: true };
  const dry = await called<RollbackRulesResponse>((done) =>
    client.rollbackRules({ ...back, sampleTopics: ['rpc/x'] }, done),
  );
  assert.equal(dry.change?.edges[0]?.topics[0]?.after?.goes, true);
  const { versions } = await called<ListRuleVersionsResponse>((done) =>
    client.listRuleVersions({ name: '' }, done),
  );
  assert.equal(versions[0]?.rules[0]?.filter, 'other');
  client.close();
});

function called<R>(
  call: (done: (error: Error | null, response: R) => void) => unknown,
): Promise<R> {
  return new Promise((resolve, reject) => {
    call((error, response) => (error === null ? resolve(response) : reject(error)));
  });
}

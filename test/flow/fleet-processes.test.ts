/**
 * The session query on real processes: devices at an edge, a core, and the same questions by gRPC,
 * HTTP and the command line. What happened to a device is told afterwards.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { credentials } from '@grpc/grpc-js';
import mqtt, { type MqttClient } from 'mqtt';
import { FleetServiceClient } from '../../proto/gen/trunkline/v1/fleet.ts';
import { type Fleet, startFleet } from '../support/fleet.ts';
import { Inbox } from '../support/front.ts';
import { runCommand } from '../support/processes.ts';
import { until } from '../support/until.ts';

let fleet: Fleet;
let http: string;
let operators: FleetServiceClient;
const devices: MqttClient[] = [];

before(async () => {
  fleet = await startFleet(2);
  http = `http://127.0.0.1:${fleet.core.port('http')}`;
  operators = new FleetServiceClient(
    `127.0.0.1:${fleet.core.port('gateway')}`,
    credentials.createInsecure(),
  );
  for (let i = 0; i < 6; i++) {
    const edge = fleet.edges[i % 2];
    const device = await mqtt.connectAsync(`mqtt://127.0.0.1:${edge?.port('mqtt')}`, {
      clientId: `meter-${i}`,
      username: i < 3 ? 'ann' : 'bob',
      clean: i !== 5,
      protocolVersion: 5,
      reconnectPeriod: 0,
      properties: i === 5 ? { sessionExpiryInterval: 600 } : {},
      ...(i === 4
        ? { will: { topic: 'gone', payload: Buffer.from('x'), qos: 0 as const, retain: false } }
        : {}),
    });
    devices.push(device);
    await device.subscribeAsync(`cmd/${i}`, { qos: 1 });
  }
  await until(async () => (await list('subscription_count = 1')).total_size === 6, 'six sessions');
});
after(async () => {
  operators.close();
  await Promise.all(devices.map((device) => device.endAsync(true)));
  await Promise.all(fleet.edges.map((edge) => edge.stop()));
  await fleet.core.stop();
});

interface Page {
  readonly total_size: number;
  readonly complete: boolean;
  readonly sessions: readonly Record<string, unknown>[];
}

async function get<T>(path: string): Promise<T> {
  return (await (await fetch(http + path)).json()) as T;
}

function list(filter: string, more: Record<string, string> = {}): Promise<Page> {
  return get(`/v1/sessions?${new URLSearchParams({ filter, ...more })}`);
}

const command = (...args: string[]) => runCommand(['sessions', ...args, '--http', http]);

test('one question has one answer by HTTP, gRPC and the command line', async () => {
  const filter = 'edge_id = edge-a AND (username = ann OR will_present = true)';
  const orderBy = 'username desc, connected_time';
  const byHttp = await list(filter, { order_by: orderBy, fields: 'username,edge' });
  const names = byHttp.sessions.map((one) => one['client_id']);
  assert.deepEqual([...names].sort(), ['meter-0', 'meter-2', 'meter-4']);
  assert.equal(names[0], 'meter-4');
  assert.deepEqual(Object.keys(byHttp.sessions[0] ?? {}).sort(), [
    'client_id',
    'edge_id',
    'username',
  ]);
  const byGrpc = await new Promise<unknown[]>((resolve, reject) => {
    const query = { pageSize: 0, pageToken: '', filter, orderBy, fields: [], explain: false };
    operators.listSessions(query, (error, page) => {
      if (error === null) resolve(page.sessions.map(({ clientId }) => clientId));
      else reject(error);
    });
  });
  assert.deepEqual(byGrpc, names);
  const shown = await command(
    'list',
    '--filter',
    filter,
    '--order',
    orderBy,
    '--fields',
    'username',
    '--explain',
  );
  assert.deepEqual(
    shown.stdout
      .trimEnd()
      .split('\n')
      .map((line) => line.split(/\s+/)[0]),
    ['CLIENT_ID', ...names],
  );
  assert.match(
    shown.stderr,
    /Found by all sessions, by scanning the columns.*6 examined, 3 matched/,
  );
});

test('groups have their figures at every door', async () => {
  const query = 'group_by=edge_id,username&aggregates=sum(subscription_count)&order_by=edge_id';
  const page = await get<{ groups: unknown[] }>(`/v1/sessions:group?${query}`);
  assert.deepEqual(page.groups[0], { keys: ['edge-a', 'ann'], count: 2, values: [2] });
  const shown = await command('list', '--group', 'username', '--figures', 'max(keep_alive)');
  assert.match(shown.stdout, /^USERNAME {2}COUNT {2}MAX\(KEEP_ALIVE\)\nann +3 +60\nbob +3 +60$/m);
});

test('a refused filter points at the character at every door', async () => {
  const shown = await command('list', '--filter', 'state = connected AND stat = kept');
  assert.notEqual(shown.code, 0);
  assert.match(
    shown.stderr,
    /unknown field 'stat' at character 23; did you mean state\?\n {2}state = .*\n {24}\^/,
  );
  const answer = await get<{ error: { message: string } }>('/v1/sessions?filter=stat%3D1');
  assert.match(answer.error.message, /at character 1; did you mean state\?\n {2}stat=1\n {2}\^$/);
});

test('a device that is cut is history with a reason, and why is told in one call', async () => {
  const watch = new Inbox(
    operators.watchSessions({ filter: 'client_id = meter-1', resumeFrom: '', fields: [] }),
  );
  assert.equal((await watch.next()).change?.$case, 'snapshot');
  assert.equal((await watch.next()).change?.$case, 'snapshotEnd');
  devices[1]?.stream.destroy();
  assert.equal((await watch.next()).change?.$case, 'removed');
  watch.cancel();
  const second = await mqtt.connectAsync(`mqtt://127.0.0.1:${fleet.edges[1]?.port('mqtt')}`, {
    clientId: 'meter-3',
    username: 'bob',
    protocolVersion: 5,
    reconnectPeriod: 0,
  });
  devices.push(second);
  const kinds = async (filter: string) => {
    const query = new URLSearchParams({ filter });
    const page = await get<{ events: { kind: string }[] }>(`/v1/sessions:history?${query}`);
    return page.events.map(({ kind }) => kind);
  };
  await until(async () => (await kinds('client_id = meter-3')).length === 3, 'a takeover is kept');
  assert.deepEqual((await kinds('client_id = meter-3')).sort(), [
    'connected',
    'connected',
    'taken-over',
  ]);
  assert.deepEqual(await kinds('client_id = meter-1 AND kind = disconnected AND by = device'), [
    'disconnected',
  ]);
  const told = await command('why', 'meter-1');
  assert.match(
    told.stdout,
    /^"meter-1" lost its connection to edge-b.*\(closed-by-client; ended by the device\)\. It has no session now\.\n/,
  );
  assert.match(told.stdout, /meter-1 +disconnected +closed-by-client +device +edge-b/);
  const history = await command('history', '--filter', 'kind = taken-over', '--json');
  assert.equal(JSON.parse(history.stdout).client_id, 'meter-3');
});

test('an edge that is away makes answers incomplete, and says which one it is', async () => {
  await fleet.edges[1]?.kill('SIGKILL');
  await until(async () => !(await list('')).complete, 'the core notices');
  const page = await get<{ silent_edges: string[] }>('/v1/sessions?filter=state%3Dconnected');
  assert.deepEqual(page.silent_edges, ['edge-b']);
});

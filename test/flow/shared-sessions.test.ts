/**
 * The list of sessions on two cores that share a log: each answers for the whole fleet, follows an
 * edge that moves, and says what it does not know when the other core, or the engine, is away.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import mqtt, { type MqttClient } from 'mqtt';
import { attached, metric, urlOf } from '../support/fleet.ts';
import { startEdgeOf, startNatsCore } from '../support/nats-fleet.ts';
import { type NatsServer, startNats } from '../support/nats-server.ts';
import { type RunningProcess, runCommand } from '../support/processes.ts';
import { until } from '../support/until.ts';

interface Answer {
  readonly sessions: readonly {
    readonly client_id: string;
    readonly edge_id: string;
    readonly state: string;
  }[];
  readonly total_size: number;
  readonly complete: boolean;
  readonly silent_edges: readonly string[];
  readonly as_of_ms: number;
}

let server: NatsServer;
let cores: RunningProcess[];
let edges: RunningProcess[];
const clients: MqttClient[] = [];

const coreOf = (i: number, again?: RunningProcess) =>
  startNatsCore({ id: `core-${i + 1}`, servers: [server.url] }, again);

before(async () => {
  server = await startNats();
  cores = await Promise.all([coreOf(0), coreOf(1)]);
  edges = await Promise.all([
    startEdgeOf([cores[0]!], 'edge-a'),
    startEdgeOf([cores[1]!], 'edge-b'),
  ]);
  await Promise.all(cores.map((core) => attached(core, 1)));
});

after(async () => {
  for (const client of clients) client.end(true);
  await Promise.all([...edges, ...cores].map((one) => one.kill()));
});

async function client(edge: RunningProcess, clientId: string): Promise<MqttClient> {
  const connected = await mqtt.connectAsync(urlOf(edge), { clientId, reconnectPeriod: 0 });
  clients.push(connected);
  return connected;
}

async function answer(core: RunningProcess): Promise<Answer> {
  const url = `http://127.0.0.1:${core.port('http')}/v1/sessions?page_size=1000`;
  return (await (await fetch(url)).json()) as Answer;
}

const listed = ({ sessions }: Answer) =>
  sessions.map((session) => `${session.client_id} at ${session.edge_id}`).sort();

/** Resolves to the answer when it is that list, and whole. */
async function shows(core: RunningProcess, expected: readonly string[], isComplete = true) {
  let last: Answer | null = null;
  const isShown = async () => {
    last = await answer(core);
    const isSame = JSON.stringify(listed(last)) === JSON.stringify([...expected].sort());
    return isSame && last.complete === isComplete;
  };
  await until(isShown, `${expected.length} sessions`, 20_000).catch((error: unknown) => {
    throw new Error(`last shown: ${JSON.stringify(last && { ...last, sessions: listed(last) })}`, {
      cause: error,
    });
  });
  return last as unknown as Answer;
}

test('either core lists the sessions of all edges, and the command line does', async () => {
  const [a, b] = edges as [RunningProcess, RunningProcess];
  await Promise.all([client(a, 'a-1'), client(a, 'a-2'), client(b, 'b-1')]);
  const all = ['a-1 at edge-a', 'a-2 at edge-a', 'b-1 at edge-b'];
  for (const core of cores) {
    const { as_of_ms } = await shows(core, all);
    assert.ok(Math.abs(Date.now() - as_of_ms) < 10_000);
    const http = `http://127.0.0.1:${core.port('http')}`;
    const { code, stdout } = await runCommand(['sessions', 'list', '--http', http]);
    assert.equal(code, 0);
    for (const id of ['a-1', 'a-2', 'b-1']) assert.match(stdout, new RegExp(`\\b${id}\\b`));
  }
  await clients.shift()!.endAsync();
  for (const core of cores) await shows(core, all.slice(1));
});

test('a core that starts anew is told what the other one has, before it calls its answers whole', async () => {
  const all = ['a-2 at edge-a', 'b-1 at edge-b'];
  await cores[1]!.kill();
  const { silent_edges } = await shows(cores[0]!, all, false);
  assert.deepEqual(silent_edges, ['edge-b']);
  cores[1] = await coreOf(1, cores[1]);
  for (const core of cores) await shows(core, all);
  const sent = await metric(cores[0]!, 'trunkline_peer_facts_answers_total');
  assert.ok(sent >= 1);
});

test('an edge that goes to the other core stays in both lists, and its sessions with it', async () => {
  const mover = await startEdgeOf(cores, 'mover');
  edges.push(mover);
  const held = await client(mover, 'm-1');
  const all = ['a-2 at edge-a', 'b-1 at edge-b', 'm-1 at mover'];
  for (const core of cores) await shows(core, all);
  const counts = () => Promise.all(cores.map((core) => metric(core, 'trunkline_edges')));
  const at = (await counts())[0] === 2 ? 0 : 1;
  await fetch(`http://127.0.0.1:${cores[at]!.port('http')}/v1/core:drain`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ within_ms: 100 }),
  });
  await until(async () => (await counts())[1 - at] === 2, 'it moved');
  await client(mover, 'm-2');
  await held.endAsync();
  const later = ['a-2 at edge-a', 'b-1 at edge-b', 'm-2 at mover'];
  for (const core of cores) await shows(core, later);
  await fetch(`http://127.0.0.1:${cores[at]!.port('http')}/v1/core:drain`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ undo: true }),
  });
});

test('while the engine is away each core says that it knows its own edges alone, then all again', async () => {
  const all = listed(await answer(cores[0]!));
  await server.kill();
  for (const core of cores) await shows(core, all, false);
  await clients.find((one) => one.options.clientId === 'b-1')!.endAsync();
  const fewer = all.filter((text) => !text.startsWith('b-1'));
  await shows(cores[1]!, fewer, false);
  await server.start();
  for (const core of cores) await shows(core, fewer);
});

/**
 * What operators ask of the trunk, of a core and an edge as processes: by HTTP, by gRPC and on the
 * command line, while all is well, while the link is down, and of one message wherever it is.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { credentials } from '@grpc/grpc-js';
import mqtt from 'mqtt';
import { trunkCommand } from '../../cli/trunk.ts';
import { whereCommand } from '../../cli/where.ts';
import type { TrunkJson, WhereJson } from '../../core/http/trunk-json.ts';
import {
  FleetServiceClient,
  type GetTrunkResponse,
  LocatedEdge_State,
  type LocatePublicationResponse,
  LocatePublicationResponse_Stage,
} from '../../proto/gen/trunkline/v1/fleet.ts';
import { testIo } from '../support/command-io.ts';
import { attached, interested, urlOf } from '../support/fleet.ts';
import { type RunningProcess, startProcess } from '../support/processes.ts';
import { startProxy, type TcpProxy } from '../support/proxy.ts';
import { until } from '../support/until.ts';

let core: RunningProcess;
let proxy: TcpProxy;
const edges: RunningProcess[] = [];

before(async () => {
  core = await startProcess('core');
  proxy = await startProxy(core.port('trunk'));
  const ports = {
    'edge-a': proxy.port,
    'edge-b': core.port('trunk'),
    'edge-c': core.port('trunk'),
  };
  for (const [id, port] of Object.entries(ports)) {
    const flags = ['--edge-id', id, '--edge-cores', `127.0.0.1:${port}`];
    edges.push(await startProcess('edge', { flags: [...flags, '--trunk-canary-seconds', '1'] }));
  }
  await attached(core, 3);
});

after(async () => {
  await Promise.all([...edges, core].map((one) => one.kill()));
  proxy.close();
});

const http = () => `http://127.0.0.1:${core.port('http')}`;

async function run(command: typeof trunkCommand, ...args: string[]) {
  const io = testIo();
  const code = await command([...args, '--http', http()], io);
  return { code, text: io.stdout.text };
}

async function trunk(edgeId: string): Promise<TrunkJson> {
  const { text } = await run(trunkCommand, 'status', edgeId, '--json');
  return (JSON.parse(text) as { trunk: TrunkJson }).trunk;
}

async function where(id: string): Promise<WhereJson> {
  return JSON.parse((await run(whereCommand, id, '--json')).text) as WhereJson;
}

async function publish(topic: string, payload: string): Promise<void> {
  const client = await mqtt.connectAsync(urlOf(edges[0] as RunningProcess), { clientId: topic });
  await client.publishAsync(topic, payload, { qos: 1 });
  await client.endAsync();
}

async function subscribed(edge: number, filter: string, clean: boolean): Promise<mqtt.MqttClient> {
  const options = { clientId: `reader-${edge}`, clean };
  const client = await mqtt.connectAsync(urlOf(edges[edge] as RunningProcess), options);
  await client.subscribeAsync(filter, { qos: 1 });
  await interested(core, `edge-${'abc'[edge]}`, 1);
  return client;
}

/** The lane and the next sequence of what is published now, by the books of the edge. */
async function laneBefore(): Promise<Map<number, number>> {
  const { lanes } = await trunk('edge-a');
  return new Map(lanes.map((lane) => [lane.lane, lane.uplinked_messages + lane.backlog_messages]));
}

test('every edge is listed with its lanes, and each lane is proven', async () => {
  await until(async () => {
    const { lanes } = await trunk('edge-a');
    return lanes.length === 6 && lanes.every(({ uplinked_messages: count }) => count > 0);
  }, 'each lane was proven');
  const trunkA = await trunk('edge-a');
  assert.equal(trunkA.connected, true);
  assert.equal(trunkA.core_id, 'core-1');
  assert.deepEqual(trunkA.faults, []);
  assert.ok(trunkA.proof_age_ms < 5_000);
  assert.ok(trunkA.credit_bytes > 1_000_000);
  assert.deepEqual(
    trunkA.lanes.map(({ priority }) => priority),
    ['normal', 'normal', 'normal', 'normal', 'high', 'bulk'],
  );
  const { code, text } = await run(trunkCommand, 'status', '--check');
  assert.equal(code, 0);
  const [titles = '', ...rows] = text.trimEnd().split('\n');
  assert.match(titles, /^EDGE +STATE +BACKLOG +OLDEST +PROOF +UP\/S +DOWN\/S +CREDIT +RTT/);
  assert.deepEqual(
    rows.map((row) => row.split(/ +/).slice(0, 3).join(' ')),
    ['edge-a healthy 0', 'edge-b healthy 0', 'edge-c healthy 0'],
  );
  const { text: details } = await run(trunkCommand, 'status', 'edge-a');
  assert.match(details, /core {2,}core-1/);
  assert.match(details, / 4 {2}high/);
});

test('gRPC answers the same', async () => {
  const client = new FleetServiceClient(
    `127.0.0.1:${core.port('gateway')}`,
    credentials.createInsecure(),
  );
  try {
    const got = await new Promise<GetTrunkResponse>((resolve, reject) => {
      client.getTrunk({ edgeId: 'edge-b' }, (error, answer) => {
        if (error === null) resolve(answer);
        else reject(error);
      });
    });
    assert.equal(got.trunk?.edgeId, 'edge-b');
    assert.equal(got.trunk?.lanes.length, 6);
    const found = await new Promise<LocatePublicationResponse>((resolve, reject) => {
      client.locatePublication({ messageId: 'edge-b/0/1' }, (error, answer) => {
        if (error === null) resolve(answer);
        else reject(error);
      });
    });
    assert.equal(found.stage, LocatePublicationResponse_Stage.LOGGED);
    assert.ok(found.edges.some(({ state }) => state === LocatedEdge_State.ORIGIN));
  } finally {
    client.close();
  }
});

test('a message is found in the log, at the edge that has it and at the one that does not want it', async () => {
  const reader = await subscribed(1, 'where/#', true);
  const before = await laneBefore();
  await publish('where/x', 'here');
  let found: WhereJson | undefined;
  await until(async () => {
    for (const [lane, last] of before) {
      for (let sequence = last + 1; sequence < last + 4; sequence++) {
        const one = await where(`edge-a/${lane}/${sequence}`);
        if (one.topic === 'where/x') found = one;
      }
    }
    return found?.edges.some(({ state }) => state === 'acknowledged') ?? false;
  }, 'the message is found');
  assert.equal(found?.stage, 'logged');
  assert.ok((found?.log_position ?? 0) > 0);
  assert.deepEqual(found?.edges, [
    { edge_id: 'edge-a', state: 'origin' },
    { edge_id: 'edge-b', state: 'acknowledged' },
    { edge_id: 'edge-c', state: 'not-wanted' },
  ]);
  const { code, text } = await run(whereCommand, found?.message_id ?? '');
  assert.equal(code, 0);
  assert.match(text, /logged: in the core's log at position \d+ of lane \d since 20/);
  assert.match(text, / {2}edge-b has it\n {2}edge-c does not want it\n$/);
  await reader.endAsync(true);
});

test('a number that was never given out, and a text that is no id, are told apart', async () => {
  const unknown = await run(whereCommand, 'edge-a/0/999999999');
  assert.equal(unknown.code, 2);
  assert.match(unknown.text, /unknown: the edge gave out no such number/);
  const stranger = await run(whereCommand, 'edge-z/0/1');
  assert.equal(stranger.code, 2);
  assert.match(stranger.text, /not found/);
  await assert.rejects(run(whereCommand, 'nonsense'), /message_id is "nonsense"; give EDGE\/LANE/);
});

test('an edge that is cut off is unhealthy, by the exit code, too', async () => {
  proxy.refuse(true);
  proxy.cut();
  await until(async () => !(await trunk('edge-a')).connected, 'the edge is away');
  const { code, text } = await run(trunkCommand, 'status', '--check');
  assert.equal(code, 2);
  assert.match(text, /edge-a +away/);
  assert.match(text, /edge-a: not attached to this core/);
  assert.equal((await run(trunkCommand, 'status', 'edge-b', '--check')).code, 0);
  proxy.refuse(false);
  await attached(core, 3);
});

/**
 * An edge that goes from one core to another and back, each with a log of its own: what entered at a
 * core, and has no edge's spool to be known by, is known by its place in that core's log.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { credentials } from '@grpc/grpc-js';
import mqtt, { type MqttClient } from 'mqtt';
import { GatewayServiceClient } from '../../proto/gen/trunkline/v1/gateway.ts';
import { attached, interested, metric, urlOf } from '../support/fleet.ts';
import { type RunningProcess, runCommand, startProcess } from '../support/processes.ts';
import { until } from '../support/until.ts';

let cores: readonly [RunningProcess, RunningProcess];
let edge: RunningProcess;
let gateway: GatewayServiceClient;
let device: MqttClient;

before(async () => {
  const startCore = (id: string, region: string) =>
    startProcess('core', { flags: ['--core-id', id, '--core-region', region] });
  cores = await Promise.all([startCore('one', 'eu'), startCore('two', 'us')]);
  const addresses = cores.map((core) => `127.0.0.1:${core.port('trunk')}`).join(',');
  const flags = ['--edge-cores', addresses, '--edge-region', 'eu', '--edge-probe-seconds', '1'];
  edge = await startProcess('edge', { flags });
  await attached(cores[0], 1);
  gateway = new GatewayServiceClient(
    `127.0.0.1:${cores[0].port('gateway')}`,
    credentials.createInsecure(),
  );
  device = mqtt.connect(urlOf(edge), { clientId: 'kept', clean: false });
  device.on('error', () => {});
});

after(async () => {
  gateway.close();
  device.end(true);
  await Promise.all([edge, ...cores].map((one) => one.kill()));
});

function publish(text: string): Promise<void> {
  const payload = Buffer.from(text);
  const publication = { topic: 'from/gateway', payload, qos: 2, retain: false };
  return new Promise((resolve, reject) => {
    gateway.publish({ publication: { ...publication, properties: Buffer.alloc(0) } }, (error) => {
      if (error === null) resolve();
      else reject(error);
    });
  });
}

function drain(core: RunningProcess, ...flags: string[]) {
  const http = `http://127.0.0.1:${core.port('http')}`;
  return runCommand(['drain', 'core', '--http', http, ...flags]);
}

test('what a gateway published at QoS 2 comes once, however often the edge changes cores', async () => {
  const [one, two] = cores;
  const came: string[] = [];
  device.on('message', (_topic, payload) => came.push(payload.toString()));
  await device.subscribeAsync('from/#', { qos: 2 });
  await interested(one, 'edge-1', 1);
  await publish('first');
  await until(() => came.length === 1, 'the first');
  for (const turn of [1, 2]) {
    await drain(one, '--within', '1ms');
    await attached(two, 1);
    await drain(one, '--undo');
    await drain(two, '--within', '1ms');
    await attached(one, 1);
    await drain(two, '--undo');
    await publish(`after ${turn}`);
    await until(() => came.includes(`after ${turn}`), 'what comes after');
  }
  assert.deepEqual(came, ['first', 'after 1', 'after 2']);
  assert.ok((await metric(edge, 'trunkline_repeats_total')) >= 3);
});

/**
 * SIGKILL of an edge under load, with a group of kept members: what was acknowledged to the publisher
 * reaches one of them, and at QoS 2 one of them once.
 */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import mqtt, { type MqttClient } from 'mqtt';
import { LoadPublisher } from '../support/load.ts';
import { type RunningProcess, startProcess } from '../support/processes.ts';
import { until } from '../support/until.ts';

let edge: RunningProcess;
let clients: MqttClient[] = [];

afterEach(async () => {
  await Promise.all(clients.map((one) => one.endAsync(true)));
  clients = [];
  await edge.kill();
});

const alone = ['--edge-cores', '127.0.0.1:9'];

async function restart(): Promise<void> {
  const port = edge.port('mqtt');
  await edge.kill();
  edge = await startProcess('edge', {
    data: edge.data,
    flags: [...alone, '--mqtt-port', String(port)],
  });
}

async function member(clientId: string, qos: 1 | 2, seen: Map<string, number>): Promise<void> {
  const client = mqtt.connect(`mqtt://127.0.0.1:${edge.port('mqtt')}`, {
    clientId,
    clean: false,
    reconnectPeriod: 100,
    resubscribe: false,
  });
  clients.push(client);
  client.on('error', () => {});
  client.on('message', (_topic, payload) => {
    const text = payload.toString();
    seen.set(text, (seen.get(text) ?? 0) + 1);
  });
  await client.subscribeAsync('$share/g/load/#', { qos });
}

for (const qos of [1, 2] as const) {
  test(`an edge is killed under QoS ${qos} load: the members of a group lose nothing`, async (t) => {
    edge = await startProcess('edge', { flags: alone });
    const seen = new Map<string, number>();
    for (const clientId of ['a', 'b', 'c']) await member(clientId, qos, seen);
    const publisher = new LoadPublisher(`mqtt://127.0.0.1:${edge.port('mqtt')}`, 'sender');
    clients.push(publisher.client);
    publisher.start('load/x', qos);
    for (let round = 0; round < 2; round++) {
      await publisher.ackedMore(200);
      await restart();
    }
    await publisher.ackedMore(200);
    await publisher.stop();
    const lost = () => [...publisher.acked].filter((text) => !seen.has(text));
    await until(() => lost().length === 0, 'all arrived', 20_000).catch(() => {});
    const doubled = [...seen].filter(([, count]) => count > 1).length;
    t.diagnostic(`acked ${publisher.acked.size} lost ${lost().length} doubled ${doubled}`);
    assert.deepEqual(lost(), []);
    if (qos === 2) assert.equal(doubled, 0);
  });
}

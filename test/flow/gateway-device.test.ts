/** A gateway at the core and a device at an edge: what one publishes, the other gets. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type ClientDuplexStream, credentials } from '@grpc/grpc-js';
import {
  type AttachRequest,
  type AttachResponse,
  GatewayServiceClient,
} from '../../proto/gen/trunkline/v1/gateway.ts';
import type { Publication } from '../../proto/gen/trunkline/v1/publication.ts';
import { TestClient } from '../support/clients.ts';
import { type Fleet, interested, startFleet, urlOf } from '../support/fleet.ts';

let fleet: Fleet;
let gateway: GatewayServiceClient;
const devices: TestClient[] = [];

before(async () => {
  fleet = await startFleet(1);
  const address = `127.0.0.1:${fleet.core.port('gateway')}`;
  gateway = new GatewayServiceClient(address, credentials.createInsecure());
});

after(async () => {
  gateway.close();
  await Promise.all(devices.map((one) => one.end()));
});

function publication(topic: string, text: string, qos: number, retain = false): Publication {
  return { topic, payload: Buffer.from(text), qos, retain, properties: Buffer.alloc(0) };
}

async function device(filter: string): Promise<TestClient> {
  const client = await TestClient.connect(urlOf(fleet.edges[0]!));
  await client.subscribe(filter, 2);
  devices.push(client);
  await interested(fleet.core, 'edge-a', devices.length);
  return client;
}

/** The next answer of that kind on an attach stream. */
async function answer<K extends NonNullable<AttachResponse['message']>['$case']>(
  stream: AsyncIterator<AttachResponse>,
  kind: K,
): Promise<Extract<NonNullable<AttachResponse['message']>, { $case: K }>['value']> {
  for (;;) {
    const { value, done } = await stream.next();
    if (done) throw new Error(`stream ended before ${kind}`);
    if (value.message?.$case === kind) return value.message.value as never;
  }
}

function send(
  stream: ClientDuplexStream<AttachRequest, AttachResponse>,
  message: NonNullable<AttachRequest['message']>,
): void {
  stream.write({ message });
}

test('a unary publish of each QoS reaches a device at an edge', async () => {
  const receiver = await device('unary/+');
  for (const qos of [1, 2]) {
    await new Promise<void>((resolve, reject) => {
      gateway.publish({ publication: publication('unary/x', `q${qos}`, qos) }, (error) =>
        error === null ? resolve() : reject(error),
      );
    });
  }
  await receiver.expect(2);
  assert.deepEqual(
    receiver.received.map((one) => [one.text, one.qos]),
    [
      ['q1', 1],
      ['q2', 2],
    ],
  );
});

test('a server stream gives what a device publishes, retained messages first', async () => {
  const sender = await TestClient.connect(urlOf(fleet.edges[0]!));
  await sender.publish('stream/kept', 'retained', { qos: 1, retain: true });
  // Durable at the core as soon as another publication of its lane went through and back.
  const call = gateway.subscribe({ subscriptions: [{ filter: 'stream/#', qos: 1 }] });
  call.on('error', () => {});
  const texts: string[] = [];
  const reading = (async () => {
    for await (const response of call) {
      for (const one of response.publications) texts.push(one.payload.toString());
      if (texts.includes('live')) return;
      await sender.publish('stream/live', 'live', { qos: 1 });
    }
  })();
  await reading;
  assert.equal(texts[0], 'retained');
  call.cancel();
  await sender.end();
});

test('an attached device and an MQTT device exchange messages both ways', async () => {
  const mqttDevice = await device('to-mqtt/#');
  const stream = gateway.attach();
  stream.on('error', () => {});
  const answers: AsyncIterator<AttachResponse> = stream[Symbol.asyncIterator]();
  send(stream, { $case: 'hello', value: { gatewayId: 'gw-1' } });
  await answer(answers, 'welcome');
  const will = publication('to-mqtt/will', 'will', 1);
  send(stream, { $case: 'open', value: { clientId: 'sensor-1', will } });
  await answer(answers, 'opened');
  const subscriptions = [{ filter: 'to-sensor/#', qos: 1 }];
  send(stream, { $case: 'subscribe', value: { clientId: 'sensor-1', subscriptions } });
  assert.deepEqual((await answer(answers, 'subscribed')).returnCodes, [1]);

  const publications = Array.from({ length: 50 }, (_, i) => publication('to-mqtt/s', `${i}`, 1));
  send(stream, { $case: 'publish', value: { clientId: 'sensor-1', requestId: 7, publications } });
  const published = await answer(answers, 'published');
  assert.deepEqual([published.requestId, new Set(published.refusals)], [7, new Set([''])]);
  await mqttDevice.expect(50);
  assert.deepEqual(
    mqttDevice.texts,
    publications.map((one) => one.payload.toString()),
  );

  await mqttDevice.publish('to-sensor/x', 'hello sensor', { qos: 1 });
  const delivery = await answer(answers, 'delivery');
  assert.equal(delivery.publications[0]?.payload.toString(), 'hello sensor');
  const { clientId, deliveryId } = delivery;
  send(stream, { $case: 'ack', value: { clientId, throughDeliveryId: deliveryId } });

  const session = await fetch(`http://127.0.0.1:${fleet.core.port('http')}/v1/sessions/sensor-1`);
  const body = (await session.json()) as { session: { gateway_id: string; protocol: string } };
  assert.deepEqual([body.session.gateway_id, body.session.protocol], ['gw-1', 'grpc']);

  stream.cancel();
  await mqttDevice.expect(51);
  assert.equal(mqttDevice.texts.at(-1), 'will');
});

test('garbage on every port of the core and the edge is survived', async () => {
  const { connect } = await import('node:net');
  const { core, edges } = fleet;
  const ports = [...Object.values(core.ports), ...Object.values(edges[0]!.ports)];
  for (const port of ports) {
    for (const bytes of [
      Buffer.from('\0\x01\x02garbage\r\n\r\n'),
      Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), Buffer.alloc(500, 0xff)]),
    ]) {
      const socket = connect(port, '127.0.0.1');
      socket.on('error', () => {});
      const closed = new Promise((resolve) => socket.once('close', resolve));
      socket.resume().end(bytes);
      // Some servers wait for more before they close: enough that they were given it.
      await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, 300))]);
      socket.destroy();
    }
  }
  const receiver = await device('alive');
  await receiver.publish('alive', 'yes', { qos: 1 });
  await receiver.expect(1);
  for (const of of [core, edges[0]!]) {
    assert.equal((await fetch(`http://127.0.0.1:${of.port('http')}/healthz`)).status, 200);
  }
});

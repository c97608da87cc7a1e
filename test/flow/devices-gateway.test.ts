/** The simulated gateway against the real front door over a fan-out in memory. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { systemClock } from '../../base/clock.ts';
import { SimulatedGateway } from '../../devices/simulated-gateway.ts';
import { openTestFront, row, type TestFront } from '../support/front.ts';
import { until } from '../support/until.ts';

let front: TestFront;
let gateway: SimulatedGateway | null = null;

beforeEach(async () => {
  front = await openTestFront();
});
afterEach(async () => {
  await gateway?.close();
  gateway = null;
  await front.close();
});

function openGateway(address = front.address): SimulatedGateway {
  gateway = new SimulatedGateway(systemClock, {
    address,
    token: '',
    id: 'gateway-1',
    devices: 5,
    rate: 100,
    mix: 'mixed',
    seed: 1,
  });
  gateway.open();
  return gateway;
}

test('its devices become sessions and publish readings that are acknowledged', async () => {
  const { counts } = await attached();
  assert.equal(counts.refused, 0);
  assert.equal(counts.fault, '');
  const topics = new Set(front.fanout.published.map(({ topic }) => topic.split('/')[1]));
  assert.deepEqual([...topics].sort(), ['meter', 'thermostat', 'tracker']);
  const first = JSON.parse(front.fanout.published[0]?.payload.toString() ?? '');
  assert.equal(first.n, 1);
  const session = front.fleet.get(first.device);
  assert.equal(session.gatewayId, 'gateway-1');
});

async function attached(): Promise<SimulatedGateway> {
  const opened = openGateway();
  await until(() => opened.counts.published >= 10, 'ten readings published');
  assert.equal(opened.counts.devicesOpen, 5);
  return opened;
}

test('a command to a device is delivered and acknowledged', async () => {
  const opened = await attached();
  const device = JSON.parse(front.fanout.published[0]?.payload.toString() ?? '').device;
  const topic = `fleet/${device.split('-')[0]}/${device}/command`;
  const publish = () =>
    new Promise<void>((resolve, reject) => {
      const publication = row(topic, 'reboot', { qos: 1 });
      front.gateways.publish({ publication }, (error) => (error ? reject(error) : resolve()));
    });
  await publish();
  await until(() => opened.counts.delivered === 1, 'the command delivered');
  await until(() => front.fleet.get(device).inflightMessages === 0, 'the command acknowledged');
});

test('closing it closes every device in order', async () => {
  const opened = await attached();
  await opened.close();
  await until(() => front.sessions.size === 0, 'no session left');
});

test('it attaches again when the core comes back, and says why it waits meanwhile', async () => {
  const opened = await attached();
  const { port } = front.door;
  await front.close();
  await until(() => opened.counts.fault !== '', 'the fault is noticed');
  assert.equal(opened.counts.devicesOpen, 0);
  front = await openTestFront({ port });
  await until(() => opened.counts.devicesOpen === 5, 'attached again');
  assert.ok(opened.counts.reconnects >= 1);
  const published = opened.counts.published;
  await until(() => opened.counts.published > published, 'it publishes again');
});

test('it closes quickly when no core ever answered', async () => {
  const opened = openGateway('127.0.0.1:1');
  await until(() => opened.counts.fault !== '', 'the fault is noticed');
  await opened.close();
  assert.equal(opened.counts.published, 0);
});

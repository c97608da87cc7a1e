/** Attach: many devices on one gateway stream, each with its own session, order, window and end. */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { status } from '@grpc/grpc-js';
import type { DeviceDelivery } from '../../proto/gen/trunkline/v1/gateway.ts';
import { SessionState } from '../../proto/gen/trunkline/v1/session.ts';
import {
  HandClock,
  openTestFront,
  row,
  type TestFront,
  TestGateway,
  until,
} from '../support/front.ts';
import { known } from '../support/known.ts';

let front: TestFront;
const gateways: TestGateway[] = [];
before(async () => {
  front = await openTestFront({ devicesMax: 3, inflightMax: 4 });
});
after(() => front.close());
afterEach(async () => {
  for (const gateway of gateways.splice(0)) gateway.call.cancel();
  await until(() => front.fanout.targets.size === 0 && front.sessions.size === 0);
});

async function attach(gatewayId: string): Promise<TestGateway> {
  const gateway = await TestGateway.attach(front, gatewayId);
  gateways.push(gateway);
  return gateway;
}

const texts = ({ publications }: DeviceDelivery) =>
  publications.map(({ payload }) => payload.toString());

function publishAs(gateway: TestGateway, clientId: string, topic: string, all: string[], qos = 0) {
  const publications = all.map((text) => row(topic, text, { qos }));
  gateway.send('publish', { clientId, requestId: 7, publications });
}

test('the welcome tells the bounds; an opened device is listed as a session', async () => {
  const gateway = new TestGateway(front);
  gateways.push(gateway);
  gateway.send('hello', { gatewayId: 'gw-1' });
  assert.deepEqual(await gateway.expect('welcome'), {
    coreId: 'core-1',
    devicesMax: 3,
    inflightMax: 4,
  });
  await gateway.open('d1');
  const session = front.sessions.get('d1');
  assert.equal(session?.state, SessionState.CONNECTED);
  assert.equal(session?.gatewayId, 'gw-1');
  assert.equal(session?.edgeId, 'core-1');
  assert.equal(session?.protocol, 'grpc');
  assert.equal(session?.listener, 'gateway');
  assert.match(session?.remoteAddress ?? '', /^127\.0\.0\.1:\d+$/);
});

test('a first message that is not hello ends the stream with a sentence', async () => {
  const gateway = new TestGateway(front);
  gateway.send('open', { clientId: 'd1', will: undefined });
  const { code, details } = await gateway.inbox.ended;
  assert.equal(code, status.INVALID_ARGUMENT);
  assert.match(details, /first message must be hello/);
});

test('a gateway that does not say hello within ten seconds is ended', async () => {
  const clock = new HandClock();
  const other = await openTestFront({}, clock);
  const gateway = new TestGateway(other);
  gateway.call.write({ message: undefined }, () => {});
  const silent = new TestGateway(other);
  assert.equal((await gateway.inbox.ended).code, status.INVALID_ARGUMENT);
  clock.pass(10_000);
  const { code, details } = await silent.inbox.ended;
  assert.equal(code, status.DEADLINE_EXCEEDED);
  assert.match(details, /No hello came within 10 seconds/);
  await other.close();
});

test('what a device receives and publishes is listed within two seconds', async () => {
  const clock = new HandClock();
  const other = await openTestFront({}, clock);
  const gateway = await TestGateway.attach(other, 'gw-1');
  await gateway.open('a');
  await gateway.subscribe('a', 't', 1);
  publishAs(gateway, 'a', 't', ['1', '2']);
  await gateway.expect('published');
  await gateway.expect('delivery');
  clock.pass(2_000);
  const session = other.sessions.get('a');
  assert.deepEqual(session?.subscriptions, [{ filter: 't', qos: 1 }]);
  assert.equal(session?.subscriptionCount, 1);
  assert.equal(session?.receivedMessages, 2);
  assert.equal(session?.deliveredMessages, 2);
  gateway.call.cancel();
  await other.close();
});

test('a gateway that leaves its deliveries unread is ended after thirty seconds', async () => {
  const clock = new HandClock();
  const other = await openTestFront({}, clock);
  const gateway = await TestGateway.attach(other, 'gw-1');
  await gateway.open('a', row('will/a', 'stalled'));
  await gateway.subscribe('a', 't');
  gateway.call.pause();
  const [device] = other.fanout.targets;
  const payload = Buffer.alloc(512 * 1024);
  const publication = { ...row('t', ''), payload, properties: null, acceptedAt: 0, origin: '' };
  for (let i = 0; i < 200; i++) {
    device?.deliver([{ ...publication, qos: 0 }]);
    await new Promise((resolve) => setImmediate(resolve));
  }
  clock.pass(30_000);
  await until(() => other.sessions.size === 0);
  assert.equal(other.fanout.published.at(-1)?.topic, 'will/a');
  assert.match(other.metrics.text(), /trunkline_dropped_total\{reason="gateway-slow"\} \d+/);
  gateway.call.cancel();
  await other.close();
});

test('a gateway id that cannot stand in a log is refused', async () => {
  const gateway = new TestGateway(front);
  gateway.send('hello', { gatewayId: 'a b' });
  assert.match((await gateway.inbox.ended).details, /hello\.gateway_id is "a b"; give 1 to 64/);
});

test('devices of one gateway reach each other and themselves', async () => {
  const gateway = await attach('gw-1');
  await gateway.open('a');
  await gateway.open('b');
  await gateway.subscribe('a', 'chat/#');
  await gateway.subscribe('b', 'chat/#');
  publishAs(gateway, 'a', 'chat/1', ['hello']);
  const answers = [
    await gateway.inbox.next(),
    await gateway.inbox.next(),
    await gateway.inbox.next(),
  ].map(({ message }) => message);
  const published = answers.find((answer) => answer?.$case === 'published');
  assert.deepEqual(known(published?.value), { clientId: 'a', requestId: 7, refusals: [''] });
  const deliveries = answers.filter((answer) => answer?.$case === 'delivery');
  assert.deepEqual(deliveries.map(({ value }) => value.clientId).sort(), ['a', 'b']);
});

test('a publication is answered when it is durable, and each refusal has a word', async () => {
  const gateway = await attach('gw-1');
  await gateway.open('a');
  const release = front.fanout.hold();
  const publications = [
    row('ok', 'x', { qos: 1 }),
    row('bad/+', 'x'),
    row('$SYS/x', 'x'),
    row('q', 'x', { qos: 3 }),
    row('big', 'x'.repeat(1024 * 1024)),
    row('p', 'x', { properties: Buffer.from([0xff]) }),
  ];
  gateway.send('publish', { clientId: 'a', requestId: 9, publications });
  gateway.send('unsubscribe', { clientId: 'a', filters: [] });
  await gateway.expect('unsubscribed');
  assert.equal(gateway.inbox.waiting, 0);
  release();
  const { refusals } = await gateway.expect('published');
  const words = ['', 'topic-invalid', 'not-authorized', 'qos-invalid', 'too-large'];
  assert.deepEqual(refusals, [...words, 'properties-invalid']);
});

test('when the log takes nothing, what would have been accepted is refused by name', async () => {
  const gateway = await attach('gw-1');
  await gateway.open('a');
  front.fanout.isFailing = true;
  gateway.send('publish', {
    clientId: 'a',
    requestId: 1,
    publications: [row('t', 'x'), row('+', 'x')],
  });
  const { refusals } = await gateway.expect('published');
  front.fanout.isFailing = false;
  assert.deepEqual(refusals, ['store-failing', 'topic-invalid']);
});

test('subscribing grants each filter its QoS or 128, and retained messages follow', async () => {
  const gateway = await attach('gw-1');
  await gateway.open('a');
  gateway.send('publish', {
    clientId: 'a',
    requestId: 1,
    publications: [row('kept/1', 'old', { retain: true, qos: 1 })],
  });
  await gateway.expect('published');
  gateway.send('subscribe', {
    clientId: 'a',
    subscriptions: [
      { filter: 'kept/+', qos: 2 },
      { filter: 'bad/#/x', qos: 0 },
      { filter: '$share/g/x', qos: 0 },
      { filter: 'x', qos: 3 },
    ],
  });
  const { returnCodes } = await gateway.expect('subscribed');
  assert.deepEqual(returnCodes, [2, 128, 128, 128]);
  const delivery = await gateway.expect('delivery');
  assert.deepEqual(texts(delivery), ['old']);
  assert.equal(delivery.publications[0]?.retain, true);
  gateway.send('unsubscribe', { clientId: 'a', filters: ['kept/+'] });
  await gateway.expect('unsubscribed');
  publishAs(gateway, 'a', 'kept/1', ['unseen']);
  await gateway.expect('published');
  assert.equal(front.fanout.targets.size, 1);
});

test('a device that does not acknowledge gets a window full, and no other waits for it', async () => {
  const gateway = await attach('gw-1');
  const publisher = await attach('gw-2');
  await gateway.open('frozen');
  await gateway.open('lively');
  await gateway.subscribe('frozen', 't', 1);
  await publisher.open('p');
  const all = Array.from({ length: 10 }, (_, index) => String(index));
  publishAs(publisher, 'p', 't', all, 1);
  await publisher.expect('published');
  const first = await gateway.expect('delivery');
  assert.deepEqual(texts(first), ['0', '1', '2', '3'], 'inflightMax is 4');
  await gateway.subscribe('lively', 'u', 0);
  publishAs(publisher, 'p', 'u', ['free']);
  await publisher.expect('published');
  const other = await gateway.expect('delivery');
  assert.deepEqual([other.clientId, ...texts(other)], ['lively', 'free']);
  assert.equal(front.ledger.delivered[1].value, 0, 'delivered means acknowledged');
  gateway.send('ack', { clientId: 'frozen', throughDeliveryId: first.deliveryId });
  const second = await gateway.expect('delivery');
  assert.deepEqual(texts(second), ['4', '5', '6', '7']);
  assert.ok(second.deliveryId > first.deliveryId);
  gateway.send('ack', { clientId: 'frozen', throughDeliveryId: second.deliveryId });
  assert.deepEqual(texts(await gateway.expect('delivery')), ['8', '9']);
  assert.equal(front.ledger.delivered[1].value, 8);
});

test('an acknowledgement of what was never delivered closes that device alone', async () => {
  const gateway = await attach('gw-1');
  await gateway.open('a', row('will/a', 'gone'));
  await gateway.open('b');
  gateway.send('ack', { clientId: 'a', throughDeliveryId: 5 });
  assert.deepEqual(await gateway.expect('closed'), { clientId: 'a', reason: 'ack-invalid' });
  assert.equal(front.fanout.published.at(-1)?.topic, 'will/a');
  await gateway.subscribe('b', 'x');
});

test('refused devices hear why', async () => {
  const gateway = await attach('gw-1');
  const refusal = async (clientId: string, will = row('w', '')) => {
    gateway.send('open', { clientId, will });
    return (await gateway.expect('closed')).reason;
  };
  assert.equal(await refusal(''), 'client-id-invalid');
  assert.equal(await refusal('line\nbreak'), 'client-id-invalid');
  assert.equal(await refusal('a', row('w/#', '')), 'will-invalid');
  for (const id of ['a', 'b', 'c']) await gateway.open(id);
  assert.equal(await refusal('d'), 'devices-max');
  gateway.send('close', { clientId: 'a', withWill: false });
  assert.equal((await gateway.expect('closed')).reason, 'closed-by-gateway');
  await gateway.open('d');
  gateway.send('subscribe', { clientId: 'nobody', subscriptions: [] });
  assert.deepEqual(await gateway.expect('closed'), { clientId: 'nobody', reason: 'not-open' });
  assert.match(front.metrics.text(), /devices_refused_total\{reason="devices-max"\} 1/);
});

test('a device closed with its will has it published, one closed without has not', async () => {
  const gateway = await attach('gw-1');
  await gateway.open('a', row('will/a', 'a'));
  await gateway.open('b', row('will/b', 'b', { qos: 1, retain: true }));
  gateway.send('close', { clientId: 'a', withWill: false });
  await gateway.expect('closed');
  gateway.send('close', { clientId: 'b', withWill: true });
  await gateway.expect('closed');
  const wills = front.fanout.published.filter(({ topic }) => /^will\/[ab]$/.test(topic));
  assert.equal(wills.at(-1)?.topic, 'will/b');
  assert.equal(wills.at(-1)?.retain, true);
  assert.equal(front.sessions.size, 0);
});

test('a stream that breaks off ends its sessions, and their wills are published', async () => {
  const gateway = await attach('gw-1');
  await gateway.open('a', row('broke/a', 'a'));
  await gateway.open('b', row('broke/b', 'b'));
  gateway.call.cancel();
  await until(() => front.sessions.size === 0);
  const wills = front.fanout.published.filter(({ topic }) => topic.startsWith('broke/'));
  assert.deepEqual(
    wills.map(({ topic }) => topic),
    ['broke/a', 'broke/b'],
  );
});

test('a gateway that ends its stream still gets the answers under way', async () => {
  const gateway = await attach('gw-1');
  await gateway.open('a');
  const release = front.fanout.hold();
  publishAs(gateway, 'a', 't', ['last'], 1);
  gateway.call.end();
  await until(() => front.sessions.size === 0);
  release();
  assert.deepEqual((await gateway.expect('published')).refusals, ['']);
  assert.equal((await gateway.inbox.ended).code, status.OK);
});

test('a device opened elsewhere is taken over: no will, and one session stays', async () => {
  const old = await attach('gw-old');
  await old.open('roamer', row('will/roamer', 'gone'));
  const before = front.fanout.published.length;
  const next = await attach('gw-new');
  await next.open('roamer');
  assert.deepEqual(await old.expect('closed'), { clientId: 'roamer', reason: 'taken-over' });
  assert.equal(front.sessions.get('roamer')?.gatewayId, 'gw-new');
  old.call.cancel();
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(front.sessions.get('roamer')?.gatewayId, 'gw-new');
  assert.equal(front.fanout.published.length, before);
});

test('closing the front door publishes the wills before it is closed', async () => {
  const other = await openTestFront();
  const gateway = await TestGateway.attach(other, 'gw-1');
  await gateway.open('a', row('will/a', 'stopped', { qos: 1 }));
  await other.door.close();
  assert.equal(other.fanout.published.at(-1)?.topic, 'will/a');
  assert.equal((await gateway.inbox.ended).code, status.UNAVAILABLE);
  await other.close();
});

/** The front door's unary and one-way calls over a real port: Publish, PublishStream, Subscribe,
 * tokens, health, and the end of it all. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { Client, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { openFrontDoor } from '../../core/frontdoor/front-door.ts';
import type {
  PublishStreamRequest,
  PublishStreamResponse,
} from '../../proto/gen/trunkline/v1/gateway.ts';
import type { Publication } from '../../proto/gen/trunkline/v1/publication.ts';
import { bearer, Inbox, openTestFront, row, type TestFront, until } from '../support/front.ts';
import { takenPort } from '../support/ports.ts';

let front: TestFront;
before(async () => {
  front = await openTestFront();
});
after(() => front.close());

function publish(publication: Publication | undefined, metadata = new Metadata()): Promise<void> {
  return new Promise((resolve, reject) => {
    front.gateways.publish({ publication }, metadata, (error) => {
      if (error === null) resolve();
      else reject(error);
    });
  });
}

function publishStream(messages: readonly PublishStreamRequest[]): Promise<PublishStreamResponse> {
  return new Promise((resolve, reject) => {
    const call = front.gateways.publishStream((error, response) => {
      if (error === null) resolve(response);
      else reject(error);
    });
    call.on('error', () => {});
    for (const message of messages) call.write(message);
    call.end();
  });
}

test('a publication is answered when the fan-out has it, with the core as its origin', async () => {
  const release = front.fanout.hold();
  let answered = false;
  const publishing = publish(row('a/b', 'hi', { qos: 1, retain: true })).then(() => {
    answered = true;
  });
  await new Promise((resolve) => setTimeout(resolve, 30));
  assert.equal(answered, false);
  release();
  await publishing;
  const published = front.fanout.published.at(-1);
  assert.equal(published?.origin, 'core:core-1');
  assert.equal(published?.retain, true);
  assert.equal(front.ledger.accepted[1].value, 1);
});

const properties = (...bytes: number[]) => ({ properties: Buffer.from(bytes) });
for (const [what, publication, code, details] of [
  ['nothing', undefined, status.INVALID_ARGUMENT, /publication is missing/],
  ['an empty topic', row('', 'x'), status.INVALID_ARGUMENT, /publication\.topic is empty/],
  ['a wildcard', row('a/#', 'x'), status.INVALID_ARGUMENT, /publication\.topic has a wildcard/],
  ['QoS 3', row('a', 'x', { qos: 3 }), status.INVALID_ARGUMENT, /publication\.qos is 3; give 0, 1/],
  ['a topic of the fleet', row('$SYS/x', 'x'), status.PERMISSION_DENIED, /starts with '\$'/],
  ['too much', row('a', 'x'.repeat(1024 * 1024)), status.INVALID_ARGUMENT, /has 1048577 bytes/],
  [
    'properties that are cut off',
    row('a', 'x', properties(0x26, 0, 1, 0x61, 0, 5, 0x62)),
    status.INVALID_ARGUMENT,
    /publication\.properties have a User Property that is cut off/,
  ],
  [
    'a topic alias',
    row('a', 'x', properties(0x23, 0, 1)),
    status.INVALID_ARGUMENT,
    /publication\.properties have identifier 35/,
  ],
] as const) {
  test(`${what} is refused with a sentence that names the field`, async () => {
    const before = front.fanout.published.length;
    await assert.rejects(publish(publication), (error: ServiceError) => {
      assert.equal(error.code, code);
      assert.match(error.details, details);
      return true;
    });
    assert.equal(front.fanout.published.length, before);
  });
}

test('properties that a publication may carry go through as they are', async () => {
  const encoded = properties(0x01, 1, 0x02, 0, 0, 0, 9, 0x26, 0, 1, 0x61, 0, 1, 0x62);
  await publish(row('a', 'x', encoded));
  assert.deepEqual(front.fanout.published.at(-1)?.properties, encoded.properties);
});

test('a log that takes nothing is told as unavailable, and counted', async () => {
  front.fanout.isFailing = true;
  await assert.rejects(publish(row('a', 'x', { qos: 1 })), { code: status.UNAVAILABLE });
  front.fanout.isFailing = false;
  assert.match(front.metrics.text(), /trunkline_refused_total\{reason="overloaded"\} 1/);
});

test('a stream of publications is answered once, with their number, in order', async () => {
  const messages = Array.from({ length: 50 }, (_, index) => ({
    publications: [row('s', `${index}.0`), row('s', `${index}.1`, { qos: 1 as const })],
  }));
  assert.equal((await publishStream(messages)).accepted, 100);
  const texts = front.fanout.published.slice(-100).map(({ payload }) => payload.toString());
  assert.deepEqual(
    texts,
    messages.flatMap((_, index) => [`${index}.0`, `${index}.1`]),
  );
});

test('a fault in a stream says where it is and how many came before it', async () => {
  const messages = [
    { publications: [row('s', '1'), row('s', '2')] },
    { publications: [row('s', '3'), row('+', '4')] },
  ];
  await assert.rejects(publishStream(messages), {
    code: status.INVALID_ARGUMENT,
    details: 'publications[1].topic has a wildcard. 2 publications before it were accepted.',
  });
});

test('a subscriber gets retained messages first, then live ones, at the lesser QoS', async () => {
  await publish(row('r/1', 'old', { qos: 2, retain: true }));
  const subscriptions = [{ filter: 'r/+', qos: 1 }];
  const inbox = new Inbox(front.gateways.subscribe({ subscriptions }));
  const [retained] = (await inbox.next()).publications;
  assert.deepEqual(
    [retained?.payload.toString(), retained?.retain, retained?.qos],
    ['old', true, 1],
  );
  await publish(row('r/2', 'new', { qos: 2, retain: true }));
  const [live] = (await inbox.next()).publications;
  assert.deepEqual([live?.payload.toString(), live?.retain, live?.qos], ['new', false, 1]);
  inbox.cancel();
  await until(() => front.fanout.targets.size === 0);
});

for (const [what, subscriptions, details] of [
  ['no filter', [], /subscriptions has 0 entries; give 1 to 1000/],
  ['a bad filter', [{ filter: 'a/#/b', qos: 0 }], /subscriptions\[0\]\.filter has '#'/],
  ['a shared group', [{ filter: '$share/g/a', qos: 0 }], /names a shared group/],
  ['QoS 7', [{ filter: 'a', qos: 7 }], /subscriptions\[0\]\.qos is 7/],
] as const) {
  test(`a subscription with ${what} is refused with a sentence`, async () => {
    const inbox = new Inbox(front.gateways.subscribe({ subscriptions: [...subscriptions] }));
    const { code, details: told } = await inbox.ended;
    assert.equal(code, status.INVALID_ARGUMENT);
    assert.match(told, details);
  });
}

test('a subscriber that does not read is ended as too slow, and what it missed is counted', async () => {
  const call = front.gateways.subscribe({ subscriptions: [{ filter: 'flood', qos: 0 }] });
  await until(() => front.fanout.targets.size === 1);
  call.on('error', () => {});
  call.pause();
  const batch = Array.from({ length: 200 }, () => ({
    topic: 'flood',
    payload: Buffer.alloc(8 * 1024),
    qos: 0 as const,
    retain: false,
    properties: null,
    acceptedAt: 0,
    origin: '',
  }));
  const [target] = front.fanout.targets;
  while (front.fanout.targets.size > 0) {
    target?.deliver(batch);
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.match(front.metrics.text(), /trunkline_dropped_total\{reason="gateway-slow"\} \d{3}/);
  const ended = new Promise<ServiceError>((resolve) => call.once('error', resolve));
  call.resume();
  assert.equal((await ended).code, status.RESOURCE_EXHAUSTED);
});

test('gateways and operators need their own tokens; health needs none', async () => {
  const guarded = await openTestFront({ token: 'gate', operatorToken: 'oper' });
  const call = (path: string, metadata: Metadata) =>
    new Promise<number>((resolve) => {
      const client = new Client(guarded.address, credentials.createInsecure());
      const bytes = (value: Buffer) => value;
      client.makeUnaryRequest(path, bytes, bytes, Buffer.alloc(0), metadata, (error) => {
        client.close();
        resolve(error?.code ?? 0);
      });
    });
  const publishPath = '/trunkline.v1.GatewayService/Publish';
  const edgesPath = '/trunkline.v1.FleetService/ListEdges';
  try {
    assert.equal(await call(publishPath, new Metadata()), status.UNAUTHENTICATED);
    assert.equal(await call(publishPath, bearer('oper')), status.UNAUTHENTICATED);
    assert.equal(await call(publishPath, bearer('gate')), status.INVALID_ARGUMENT);
    assert.equal(await call(edgesPath, bearer('gate')), status.UNAUTHENTICATED);
    assert.equal(await call(edgesPath, bearer('oper')), status.OK);
    assert.equal(await call('/grpc.health.v1.Health/Check', new Metadata()), status.OK);
    const attach = new Inbox(guarded.gateways.attach() as never);
    assert.equal((await attach.ended).code, status.UNAUTHENTICATED);
    assert.match(guarded.metrics.text(), /unauthenticated_total\{service="trunkline.v1.Gate.*\} 3/);
  } finally {
    await guarded.close();
  }
});

test('garbage on the port does not harm the calls of others', async () => {
  const socket = connect(front.door.port, '127.0.0.1', () =>
    socket.write('GET / HTTP/1.1\r\n\r\n'),
  );
  socket.on('error', () => {});
  await new Promise((resolve) => socket.on('close', resolve).resume());
  await publish(row('a/b', 'still here'));
});

test('a port that is in use is said in one sentence with the flag that chooses another', async () => {
  const taken = await takenPort();
  try {
    await assert.rejects(
      openFrontDoor(front, {
        host: '127.0.0.1',
        port: taken.port,
        token: '',
        operatorToken: '',
        coreId: 'core-2',
        devicesMax: 1,
      }),
      { code: 'port-in-use', message: /the front door cannot listen there.*--gateway-port/ },
    );
  } finally {
    await taken.release();
  }
});

test('closing ends open calls with a reason, and twice is as good as once', async () => {
  const closing = await openTestFront();
  const subscribe = closing.gateways.subscribe({ subscriptions: [{ filter: 'a', qos: 0 }] });
  const inbox = new Inbox(subscribe);
  const watch = new Inbox(
    closing.operators.watchSessions({ filter: '', resumeFrom: '', fields: [] }),
  );
  await until(() => closing.fanout.targets.size === 1);
  await watch.next();
  await Promise.all([closing.door.close(), closing.door.close()]);
  assert.equal((await inbox.ended).code, status.UNAVAILABLE);
  assert.equal((await watch.ended).code, status.UNAVAILABLE);
  await closing.close();
});

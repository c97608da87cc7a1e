/** Wills of MQTT 5: their properties, their delay, and what takes them back; section 3.1.2.5, 3.1.3.2. */
import assert from 'node:assert/strict';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Client5, type Connect5Options } from '../support/client-5.ts';
import { type LocalBroker, openLocalBroker } from '../support/local-broker.ts';
import { RawClient } from '../support/raw-client.ts';

let edge: LocalBroker;

before(async () => {
  edge = await openLocalBroker();
});

after(async () => {
  await edge.discard();
});

interface Dying {
  readonly delay?: number;
  readonly expiry?: number;
  readonly qos?: number;
  readonly clean?: boolean;
}

function dying(name: string, { delay = 0, expiry = 0, qos = 1, clean = false }: Dying) {
  const properties = delay > 0 ? { willDelayInterval: delay } : {};
  const options: Connect5Options = {
    clean,
    properties: { sessionExpiryInterval: expiry },
    will: { topic: `will/${name}`, payload: Buffer.from('gone'), qos, retain: false, properties },
  };
  return options;
}

async function watch(name: string, at = edge): Promise<Client5> {
  const watcher = await Client5.session(at.port, `watch-${name}`);
  await watcher.subscribe(`will/${name}`);
  return watcher;
}

/** How long until the next message, in milliseconds. */
async function waitFor(watcher: Client5): Promise<number> {
  const from = performance.now();
  const { payload } = await watcher.nextOf('publish');
  assert.equal(String(payload), 'gone');
  return performance.now() - from;
}

for (const qos of [0, 1, 2]) {
  test(`a will of QoS ${qos} is published with its properties [section 3.1.3.2]`, async () => {
    const name = `properties-${qos}`;
    const watcher = await watch(name);
    const properties = {
      payloadFormatIndicator: true,
      contentType: 'text/plain',
      responseTopic: 'answer/here',
      correlationData: Buffer.of(0, 255),
      userProperties: { a: ['1', '2'], b: '3' },
      messageExpiryInterval: 100,
    };
    const { will, ...rest } = dying(name, { qos });
    const client = await Client5.session(edge.port, name, {
      ...rest,
      will: { ...will, properties },
    });
    await client.cut();
    const { properties: given } = await watcher.nextOf('publish');
    const { userProperties, messageExpiryInterval, ...others } = given ?? {};
    const { userProperties: asked, messageExpiryInterval: expiry, ...expected } = properties;
    assert.deepEqual({ ...others }, expected);
    assert.deepEqual({ ...(userProperties as object) }, asked);
    assert.ok(Number(messageExpiryInterval) <= expiry && Number(messageExpiryInterval) > 90);
    await watcher.disconnect();
  });
}

test('DISCONNECT takes the will back [MQTT-3.1.2-10]', async () => {
  const watcher = await watch('normal');
  const client = await Client5.session(edge.port, 'normal', dying('normal', {}));
  await client.disconnect();
  assert.deepEqual(await watcher.received(), []);
  await watcher.disconnect();
});

for (const reasonCode of [0x04, 0x80]) {
  test(`DISCONNECT with 0x${reasonCode.toString(16)} leaves the will in force`, async () => {
    const name = `with-will-${reasonCode}`;
    const watcher = await watch(name);
    const client = await Client5.session(edge.port, name, dying(name, {}));
    await client.disconnect({}, reasonCode);
    await waitFor(watcher);
    await watcher.disconnect();
  });
}

test('a will waits for its delay [MQTT-3.1.3-9]', async () => {
  const watcher = await watch('delayed');
  const client = await Client5.session(
    edge.port,
    'delayed',
    dying('delayed', { delay: 1, expiry: 60 }),
  );
  await client.cut();
  const waitedMs = await waitFor(watcher);
  assert.ok(waitedMs > 900 && waitedMs < 3_000, `${waitedMs} ms`);
  await watcher.disconnect();
});

test('a will that waits is not published when the client is back in time [MQTT-3.1.3-9]', async () => {
  const watcher = await watch('back');
  const options = dying('back', { delay: 1, expiry: 60 });
  const client = await Client5.session(edge.port, 'back', options);
  await client.cut();
  const again = await Client5.session(edge.port, 'back', { ...options, will: undefined as never });
  await new Promise((resolve) => setTimeout(resolve, 1_300));
  assert.deepEqual(await watcher.received(), []);
  await again.disconnect();
  await watcher.disconnect();
});

test('a will waits no longer than its session lives [section 3.1.3.2.2]', async () => {
  for (const expiry of [0, 1]) {
    const name = `session-end-${expiry}`;
    const watcher = await watch(name);
    const client = await Client5.session(edge.port, name, dying(name, { delay: 60, expiry }));
    await client.cut();
    const waitedMs = await waitFor(watcher);
    assert.ok(waitedMs < expiry * 1_000 + 1_500, `${waitedMs} ms`);
    await watcher.disconnect();
  }
});

test('a clean start ends the session, and the will that waits is published', async () => {
  const watcher = await watch('clean-start');
  const client = await Client5.session(
    edge.port,
    'clean-start',
    dying('clean-start', { delay: 60, expiry: 60 }),
  );
  await client.cut();
  const again = await Client5.session(edge.port, 'clean-start');
  await waitFor(watcher);
  await again.disconnect();
  await watcher.disconnect();
});

test('a takeover publishes a will without delay and takes back one with [MQTT-3.1.4-3]', async () => {
  for (const delay of [0, 60]) {
    const name = `takeover-${delay}`;
    const watcher = await watch(name);
    await Client5.session(edge.port, name, dying(name, { delay, expiry: 60 }));
    const again = await Client5.session(edge.port, name, {
      clean: false,
      properties: { sessionExpiryInterval: 60 },
    });
    if (delay === 0) await waitFor(watcher);
    else assert.deepEqual(await watcher.received(), []);
    await again.disconnect();
    await watcher.disconnect();
  }
});

test('a client that is back with MQTT 3.1.1 takes its waiting will back too', async () => {
  const watcher = await watch('older');
  const client = await Client5.session(
    edge.port,
    'older',
    dying('older', { delay: 1, expiry: 60 }),
  );
  await client.cut();
  const raw = await RawClient.session(edge.port, 'older', false);
  await new Promise((resolve) => setTimeout(resolve, 1_300));
  assert.deepEqual(await watcher.received(), []);
  raw.destroy();
  await watcher.disconnect();
});

async function copyOf(broker: LocalBroker): Promise<string> {
  const copy = await mkdtemp(join(tmpdir(), 'trunkline-crash-'));
  await cp(broker.data, copy, { recursive: true });
  return copy;
}

test('a will of a client that was connected outlives a crash with its delay', async () => {
  const { will, ...rest } = dying('crashed', { delay: 1, expiry: 60 });
  const properties = { willDelayInterval: 1, contentType: 'text/plain' };
  const client = await Client5.session(edge.port, 'crashed', {
    ...rest,
    will: { ...will, properties },
  });
  const next = await openLocalBroker({}, await copyOf(edge));
  const watcher = await watch('crashed', next);
  const given = await watcher.nextOf('publish');
  assert.deepEqual({ ...given.properties }, { contentType: 'text/plain' });
  await watcher.disconnect();
  await next.discard();
  await client.disconnect();
});

test('a will that waits outlives a stop, and its time goes on', async () => {
  const first = await openLocalBroker();
  const client = await Client5.session(
    first.port,
    'stopped',
    dying('stopped', { delay: 2, expiry: 60 }),
  );
  await client.cut();
  await new Promise((resolve) => setTimeout(resolve, 500));
  await first.close();
  const next = await openLocalBroker({}, first.data);
  const watcher = await watch('stopped', next);
  assert.ok((await waitFor(watcher)) < 2_000);
  await watcher.disconnect();
  await next.close();
  const third = await openLocalBroker({}, first.data);
  const later = await watch('stopped', third);
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.deepEqual(await later.received(), []);
  await later.disconnect();
  await third.close();
  await rm(first.data, { recursive: true, force: true });
});

/** Devices of the registry as an authenticator: what is hashed, and how often. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RegisteredDevice } from '../../base/registered-device.ts';
import { hashOf, newSecret } from '../../base/secret-hash.ts';
import { RegisteredDevices } from '../../broker/auth/registered-devices.ts';

async function world(names: readonly string[]) {
  const secret = newSecret();
  const hash = await hashOf(secret);
  const devices = new Map<string, RegisteredDevice>();
  const device = (name: string, more: Partial<RegisteredDevice> = {}): RegisteredDevice => ({
    ...{ name, roles: ['r'], labels: new Map(), isDisabled: false, createdAtMs: 1, updatedAtMs: 1 },
    ...{ credentialVersion: 1, secret: hash },
    ...more,
  });
  for (const name of names) devices.set(name, device(name));
  let tell: (names: readonly string[]) => void = () => {};
  const known = {
    find: (name: string) => devices.get(name),
    onChanged: (listener: typeof tell) => {
      tell = listener;
    },
  };
  const registered = new RegisteredDevices(known, { waitingMax: 20 });
  const ask = (username: string, password: string, clientId = username) =>
    registered.authenticate({
      ...{ username, clientId, password: Buffer.from(password) },
      ...{ certificate: null, remoteAddress: '127.0.0.1:1', listener: 'mqtt' },
    });
  const put = (changed: RegisteredDevice) => {
    devices.set(changed.name, changed);
    tell([changed.name]);
  };
  return { secret, ask, put, device };
}

test('a secret that was right is known again at once, and not after a change of it', async () => {
  const { secret, ask, put, device } = await world(['m-1']);
  const first = ask('m-1', secret);
  assert.ok(first instanceof Promise);
  assert.equal((await first).kind, 'accepted');
  const second = ask('m-1', secret);
  assert.ok(!(second instanceof Promise));
  assert.equal(second.kind, 'accepted');
  assert.equal((await ask('m-1', `${secret}x`)).kind, 'refused');
  const foreign = await ask('m-1', secret, 'm-2');
  assert.deepEqual(foreign, { kind: 'refused', reason: 'client-id-foreign' });
  put(device('m-1', { credentialVersion: 2, secret: await hashOf(newSecret()) }));
  assert.deepEqual(await ask('m-1', secret), { kind: 'refused', reason: 'credentials' });
  put(device('m-1', { isDisabled: true }));
  assert.deepEqual(await ask('m-1', secret), { kind: 'refused', reason: 'identity-disabled' });
  assert.equal((await ask('m-9', secret)).kind, 'unknown');
  assert.equal((await ask('m-1', '')).kind, 'refused');
});

test('a flood of secrets is bounded, and who waits gets an answer', async () => {
  const { secret, ask } = await world(['m-1', 'm-2']);
  const flood = Array.from({ length: 30 }, (_, index) => ask('m-1', `wrong ${index}`));
  const late = await ask('m-2', secret);
  assert.deepEqual(late, { kind: 'refused', reason: 'authentication-unavailable' });
  assert.equal(flood.filter((one) => one instanceof Promise).length, 22);
  const verdicts = await Promise.all(flood);
  assert.ok(verdicts.every(({ kind }) => kind === 'refused'));
});

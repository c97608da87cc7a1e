/**
 * The whole way once: the compiled `trunkline up`, a device over MQTT, and what an operator sees of
 * it in a browser. The other tests of the page have a made-up fleet behind it; this one has none.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { TestBrowser } from '../support/browser.ts';
import { TestClient } from '../support/clients.ts';
import { type RunningProcess, startProcess } from '../support/processes.ts';

let browser: TestBrowser;
let up: RunningProcess;

before(async () => {
  browser = await TestBrowser.open();
  up = await startProcess('up', { flags: ['--edge-id', 'harbour', '--edge-region', 'north'] });
});
after(async () => {
  await browser.close();
  await up.stop();
});

/** Publishes all the time, waiting for each acknowledgement, until it is told to stop. */
function talk(client: TestClient): () => Promise<void> {
  let isTalking = true;
  const talking = (async () => {
    for (let n = 1; isTalking; n++) {
      await client.publish('fleet/crane/load', String(n), { qos: 1 });
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  })();
  return () => {
    isTalking = false;
    return talking;
  };
}

test('a device that connects, publishes and leaves is seen to do so', async () => {
  const visit = await browser.visit(`http://127.0.0.1:${up.port('http')}/`);
  const { page } = visit;
  await page.getByText('Ready', { exact: true }).waitFor();
  await page.getByText('Live', { exact: true }).waitFor();
  const edge = page.locator('table:not(.sessions) tbody tr', { hasText: 'harbour' });
  await edge.getByText('attached').waitFor();
  await page.getByText('No device has connected yet.').waitFor();

  const url = `mqtt://127.0.0.1:${up.port('mqtt')}`;
  const device = await TestClient.connect(url, { clientId: 'crane-1', clean: true });
  const session = page.locator('table.sessions tbody tr', { hasText: 'crane-1' });
  await session.getByText('connected').waitFor();
  await session.getByText('harbour').waitFor();

  const stopTalking = talk(device);
  const rate = page.locator('.tile', { hasText: 'Messages in' }).locator('.value');
  await rate.filter({ hasText: /^(0\.[1-9]|[1-9])/ }).waitFor();
  const received = session.locator('td').nth(-2);
  await received.filter({ hasText: /[1-9]/ }).waitFor();
  await stopTalking();

  await device.end();
  await session.waitFor({ state: 'detached' });
  await page.getByText('No device has connected yet.').waitFor();
  assert.deepEqual(visit.faults, []);
  assert.deepEqual(visit.strangers, []);
});

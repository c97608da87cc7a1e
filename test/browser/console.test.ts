/**
 * The operators' page in a real browser, against the real operators' HTTP over a made-up fleet. The
 * content security policy of the core is in force: a violation is a console error and fails.
 */
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { TestBrowser, type WatchedPage } from '../support/browser.ts';
import { FakeCore } from '../support/fake-core-http.ts';

const consoleDirectory = fileURLToPath(new URL('../../console', import.meta.url));

let browser: TestBrowser;
let core: FakeCore;

before(async () => {
  browser = await TestBrowser.open();
});
after(() => browser.close());

beforeEach(async () => {
  core = new FakeCore({ consoleDirectory });
  core.attach('edge-1', 'eu-central');
  core.attach('edge-2', 'us-east');
  core.report('edge-1', { received: 100, delivered: 200 });
  core.connect('edge-1', 'meter-1');
  core.connect('edge-1', 'tracker-1');
  core.connect('edge-2', 'thermostat-1');
  core.keep('edge-2', 'meter-2');
  core.connectBehind('gateway-1', 'meter-3');
  await core.open();
});
afterEach(async () => {
  await browser.leave();
  await core.close();
});

function sessionRow(page: Page, clientId: string) {
  return page.locator('table.sessions tbody tr', { hasText: clientId });
}

async function live(page: Page): Promise<void> {
  await page.getByText('Live', { exact: true }).waitFor();
}

function isClean({ faults, strangers }: WatchedPage): void {
  assert.deepEqual(faults, []);
  assert.deepEqual(strangers, []);
}

test('the page shows the fleet under a strict policy, without a fault or a foreign request', async () => {
  const visit = await browser.visit(core.url);
  await live(visit.page);
  const response = await visit.page.request.get(core.url);
  const policy = response.headers()['content-security-policy'] ?? '';
  assert.match(policy, /script-src 'self'/);
  assert.match(policy, /style-src 'self'/);
  assert.doesNotMatch(policy, /unsafe/);
  const tiles = visit.page.locator('.tile');
  assert.match((await tiles.nth(0).textContent()) ?? '', /^Connected sessions4/);
  assert.match((await tiles.nth(1).textContent()) ?? '', /^Kept sessions1/);
  assert.match((await tiles.nth(2).textContent()) ?? '', /^Edges attached2of 2/);
  assert.equal(await visit.page.locator('table.sessions tbody tr').count(), 5);
  await visit.page.getByRole('rowheader', { name: 'edge-2us-east' }).waitFor();
  assert.equal(await visit.page.locator('.chart canvas').count(), 1);
  isClean(visit);
});

test('sessions appear, change and disappear while one looks', async () => {
  const visit = await browser.visit(core.url);
  await live(visit.page);
  core.connect('edge-1', 'meter-9');
  await sessionRow(visit.page, 'meter-9').waitFor();
  await visit.page.locator('.badge', { hasText: '6' }).waitFor();
  core.keep('edge-1', 'meter-9');
  await sessionRow(visit.page, 'meter-9').getByText('kept').waitFor();
  core.remove('edge-1', 'meter-9');
  await sessionRow(visit.page, 'meter-9').waitFor({ state: 'detached' });
  await visit.page.locator('.badge', { hasText: '5' }).waitFor();
  isClean(visit);
});

test('a filter narrows the rows and follows changes', async () => {
  const visit = await browser.visit(core.url);
  await live(visit.page);
  await visit.page.getByLabel('Filter sessions').fill('client_id = meter-* AND state = kept');
  await sessionRow(visit.page, 'meter-1').waitFor({ state: 'detached' });
  await live(visit.page);
  assert.equal(await visit.page.locator('table.sessions tbody tr').count(), 1);
  core.keep('edge-1', 'meter-1');
  await sessionRow(visit.page, 'meter-1').waitFor();
  core.connect('edge-2', 'meter-2');
  await sessionRow(visit.page, 'meter-2').waitFor({ state: 'detached' });
  isClean(visit);
});

test('a filter that the core refuses is explained in its words', async () => {
  const { page } = await browser.visit(core.url);
  await live(page);
  await page.getByLabel('Filter sessions').fill('colour = blue');
  const fault = page.locator('#filter-fault', { hasText: 'colour' });
  await fault.waitFor();
  await page.getByLabel('Filter sessions').fill('state = connected AND stat = kept');
  await page.locator('#filter-fault', { hasText: 'did you mean state?' }).waitFor();
  // The caret stands under the character, where letters are of one width and lines are kept.
  const lines = ((await fault.page().locator('#filter-fault').textContent()) ?? '').split('\n');
  assert.equal(lines[2]?.indexOf('^'), lines[1]?.indexOf('stat = kept'));
  const style = (name: string) =>
    page.evaluate<string>(`getComputedStyle(document.querySelector('#filter-fault')).${name}`);
  assert.equal(await style('whiteSpace'), 'pre');
  assert.match(await style('fontFamily'), /mono/i);
  await page.getByLabel('Filter sessions').fill('');
  await sessionRow(page, 'meter-1').waitFor();
  assert.equal(await page.locator('#filter-fault').textContent(), '');
});

test('the query box takes the whole language', async () => {
  const visit = await browser.visit(core.url);
  await live(visit.page);
  const box = visit.page.getByLabel('Filter sessions');
  const rows = visit.page.locator('table.sessions tbody tr');
  await box.fill('(client_id = tracker-* OR client_id = thermostat-*) AND -edge_id = edge-1');
  await sessionRow(visit.page, 'tracker-1').waitFor({ state: 'detached' });
  await live(visit.page);
  assert.equal(await rows.count(), 1);
  await box.fill('queue_messages > 10 AND disconnected_for < 10m');
  await sessionRow(visit.page, 'meter-2').waitFor();
  assert.equal(await rows.count(), 1);
  await box.fill('TRACKER');
  await sessionRow(visit.page, 'tracker-1').waitFor();
  assert.equal(await rows.count(), 1);
  isClean(visit);
});

test('many sessions come in pages that one can turn with the keyboard', async () => {
  for (let i = 100; i < 220; i++) core.connect('edge-1', `sensor-${i}`);
  const visit = await browser.visit(core.url);
  await live(visit.page);
  const rows = visit.page.locator('table.sessions tbody tr');
  assert.equal(await rows.count(), 50);
  await visit.page.getByRole('button', { name: 'Next' }).focus();
  await visit.page.keyboard.press('Enter');
  await visit.page.getByText('Page 2').waitFor();
  await sessionRow(visit.page, 'sensor-150').waitFor();
  await visit.page.getByRole('button', { name: 'Next' }).click();
  await visit.page.getByText('Page 3').waitFor();
  await sessionRow(visit.page, 'tracker-1').waitFor();
  assert.equal(await rows.count(), 25);
  assert.equal(await visit.page.getByRole('button', { name: 'Next' }).isDisabled(), true);
  isClean(visit);
});

test('the details of a session open from the keyboard and close with Escape', async () => {
  const visit = await browser.visit(core.url);
  await live(visit.page);
  await visit.page.getByRole('button', { name: 'meter-2' }).focus();
  await visit.page.keyboard.press('Enter');
  const dialog = visit.page.getByRole('dialog', { name: 'meter-2' });
  await dialog.getByText('fleet/meter/meter-2/command').waitFor();
  await dialog.getByText('keep-alive-timeout').waitFor();
  await visit.page.keyboard.press('Escape');
  await dialog.waitFor({ state: 'detached' });
  isClean(visit);
});

test('the story of a device is told: why it lost its connection, and what happened before', async () => {
  const hour = 3_600_000;
  const atMs = Date.now() - 2 * hour;
  core.happened('meter-2', 'connected', { atMs: atMs - hour, remoteAddress: '192.0.2.9:4000' });
  const lost = { reason: 'keep-alive-timeout', by: 'edge', connectedMs: hour };
  core.happened('meter-2', 'disconnected', { atMs, ...lost });
  core.happened('meter-22', 'refused', { reason: 'credentials' });
  const visit = await browser.visit(core.url);
  await live(visit.page);
  await visit.page.getByRole('button', { name: 'meter-2' }).click();
  const dialog = visit.page.getByRole('dialog', { name: 'meter-2' });
  await dialog.locator('.answer', { hasText: 'keep-alive-timeout' }).waitFor();
  const told = dialog.locator('.timeline li');
  await told.nth(1).waitFor();
  assert.equal(await told.count(), 2);
  assert.match(
    (await told.nth(0).textContent()) ?? '',
    /disconnectedkeep-alive-timeout, by edge, after 1 h 0 m, at edge-1/,
  );
  assert.match((await told.nth(1).textContent()) ?? '', /connectedat edge-1, from 192\.0\.2\.9/);
  await dialog.getByLabel('Why was it gone at').fill('2001-01-01T00:00:00');
  await dialog.locator('.answer', { hasNotText: 'keep-alive-timeout' }).waitFor();
  isClean(visit);
});

test('a query is saved, asked again with one press, and forgotten', async () => {
  const visit = await browser.visit(core.url);
  const { page } = visit;
  await live(page);
  await page.getByLabel('Filter sessions').fill('edge_id = edge-2');
  await sessionRow(page, 'tracker-1').waitFor({ state: 'detached' });
  await page.getByLabel('Order').selectOption({ label: 'Longest queue' });
  await page.getByRole('button', { name: 'Save this query' }).focus();
  await page.keyboard.press('Enter');
  const title = 'edge_id = edge-2, by queue_messages desc';
  const chip = page.getByRole('button', { name: title, exact: true });
  assert.equal(await chip.getAttribute('aria-pressed'), 'true');
  await chip.click();
  await sessionRow(page, 'tracker-1').waitFor();
  await page.reload();
  await live(page);
  await chip.click();
  await sessionRow(page, 'tracker-1').waitFor({ state: 'detached' });
  assert.equal(await page.getByLabel('Filter sessions').inputValue(), 'edge_id = edge-2');
  // The longest queue is first, whatever its name.
  assert.match(
    (await page.locator('table.sessions tbody tr').nth(0).textContent()) ?? '',
    /^meter-2/,
  );
  await page.getByRole('button', { name: `Forget ${title}` }).click();
  await chip.waitFor({ state: 'detached' });
  isClean(visit);
});

test('the address tells what is shown, and shows it to whoever gets it', async () => {
  const { page } = await browser.visit(core.url);
  await live(page);
  await page.getByLabel('Filter sessions').fill('state = kept');
  await sessionRow(page, 'meter-1').waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'meter-2' }).click();
  await page.getByRole('dialog', { name: 'meter-2' }).waitFor();
  await page.waitForURL(/#filter=state\+%3D\+kept&device=meter-2$/);
  const there = page.url();
  const other = await browser.visit(there);
  await other.page.getByRole('dialog', { name: 'meter-2' }).waitFor();
  assert.equal(await other.page.getByLabel('Filter sessions').inputValue(), 'state = kept');
  await other.page.keyboard.press('Escape');
  await other.page.getByRole('dialog').waitFor({ state: 'detached' });
  await other.page.waitForURL((url) => !url.hash.includes('device'));
});

test('nothing makes a phone scroll sideways', async () => {
  core.connect('edge-1', `device-${'with-a-very-long-name-'.repeat(8)}`);
  core.index.edgeDetached('edge-2');
  const visit = await browser.visit(core.url, { width: 375, height: 812 });
  await live(visit.page);
  await visit.page.getByRole('button', { name: 'edge-1' }).click();
  await visit.page.getByText('not reporting').waitFor();
  core.happened('meter-1', 'disconnected', { reason: 'reason-'.repeat(40), by: 'network' });
  await visit.page.getByRole('button', { name: 'meter-1' }).click();
  await visit.page.locator('.timeline li').nth(0).waitFor();
  const widths = await visit.page.evaluate<number[]>(
    '[document.documentElement.scrollWidth, window.innerWidth]',
  );
  assert.deepEqual(widths, [375, 375]);
  isClean(visit);
});

test('the trunk panel shows each link, its lanes on demand, and an old proof in colour', async () => {
  core.report('edge-2', { backlog: 40_000, proofAgeMs: 95_000 });
  const visit = await browser.visit(core.url);
  await live(visit.page);
  const rows = visit.page.locator('table.trunks tbody tr');
  const far = rows.filter({ has: visit.page.getByRole('button', { name: 'edge-2' }) });
  await far.getByText('40,000', { exact: true }).waitFor();
  assert.equal(await far.locator('.tone-bad').count(), 2);
  assert.match((await far.textContent()) ?? '', /1 m 35 s/);
  await visit.page.getByText('no canary came back for too long on lane 2').waitFor();
  assert.equal(await visit.page.locator('table.trunks tr.lane').count(), 0);
  await visit.page.getByRole('button', { name: 'edge-2' }).focus();
  await visit.page.keyboard.press('Enter');
  const cores = visit.page.locator('table.trunks tr.core');
  await cores.nth(1).waitFor();
  assert.deepEqual(await cores.allTextContents(), [
    'Core core-eastus-eastserving, 92.4 ms',
    'Core core-west:7400unreachable',
  ]);
  const lanes = visit.page.locator('table.trunks tr.lane:not(.core)');
  assert.equal(await lanes.count(), 6);
  assert.match((await lanes.nth(4).textContent()) ?? '', /^Lane 4high/);
  assert.equal(await lanes.locator('.tone-bad').count(), 2);
  const near = rows.filter({ has: visit.page.getByRole('button', { name: 'edge-1' }) });
  assert.equal(await near.locator('.tone-bad').count(), 0);
  await visit.page.keyboard.press('Enter');
  await lanes.first().waitFor({ state: 'detached' });
  isClean(visit);
});

test('the page is dark where the reader prefers it', async () => {
  const ground = 'getComputedStyle(document.body).backgroundColor';
  const light = await browser.visit(core.url);
  assert.equal(await light.page.evaluate(ground), 'rgb(244, 246, 248)');
  const dark = await browser.visit(core.url, { dark: true });
  assert.equal(await dark.page.evaluate(ground), 'rgb(13, 18, 24)');
  isClean(dark);
});

test('a core that goes away is said so, and its return is noticed', async () => {
  const { page } = await browser.visit(core.url);
  await live(page);
  const { port } = core;
  await core.close();
  await page.getByText('The core does not answer; trying again in').waitFor();
  core.connect('edge-1', 'meter-7');
  await core.open(port);
  await page.getByText('Ready', { exact: true }).waitFor();
  await live(page);
  await sessionRow(page, 'meter-7').waitFor();
});

test('a core with a token asks for it, and takes only the right one', async () => {
  const locked = new FakeCore({ consoleDirectory, token: 'open-sesame' });
  locked.attach('edge-1', 'local');
  locked.connect('edge-1', 'meter-1');
  await locked.open();
  try {
    const { page } = await browser.visit(locked.url);
    await page.getByLabel('Operator token').fill('wrong');
    await page.keyboard.press('Enter');
    await page.getByText('The core does not take this token.').waitFor();
    await page.getByLabel('Operator token').fill('open-sesame');
    await page.keyboard.press('Enter');
    await live(page);
    await sessionRow(page, 'meter-1').waitFor();
    await page.reload();
    await live(page);
  } finally {
    await browser.leave();
    await locked.close();
  }
});

test('a fleet without edges and devices says what to do first', async () => {
  const empty = new FakeCore({ consoleDirectory });
  empty.reasons = ['0 of 1 edges are attached'];
  await empty.open();
  try {
    const { page } = await browser.visit(empty.url);
    await page.getByText('No edge has attached yet.').waitFor();
    await page.getByText('No device has connected yet.').waitFor();
    await page.getByText('Not ready', { exact: true }).waitFor();
    await page.getByText('The core is not ready: 0 of 1 edges are attached.').waitFor();
  } finally {
    await browser.leave();
    await empty.close();
  }
});

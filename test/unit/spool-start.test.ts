/** Starts of the spool on a folder that a process left while it was creating a file. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, test } from 'node:test';
import { systemClock } from '../../base/clock.ts';
import { createLog } from '../../base/log.ts';
import { Metrics } from '../../base/metrics.ts';
import { Spool } from '../../bridge/spool.ts';

const log = createLog({ level: 'silent', format: 'json', tier: 'test' });
const folders: string[] = [];
let directory = '';

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'trunkline-spool-'));
  folders.push(directory);
});

after(async () => {
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
});

function open(): Promise<Spool> {
  const parts = { log, metrics: new Metrics(), clock: systemClock };
  return Spool.open(parts, { directory, bytesMax: 1 << 30 });
}

async function appendOne(spool: Spool, text: string): Promise<void> {
  const durable = new Promise<void>((resolve) => spool.onDurable(() => resolve()));
  spool.append({
    kind: 'publication',
    publication: {
      topic: 'a',
      payload: Buffer.from(text),
      qos: 1,
      retain: false,
      properties: null,
      acceptedAt: 0,
      origin: '',
    },
    source: { kind: 'device' },
    clientId: '',
    packetId: 0,
  });
  await durable;
}

async function texts(spool: Spool): Promise<string[]> {
  const all: string[] = [];
  for await (const chunk of spool.read(1)) {
    for (const entry of chunk) {
      if (entry.kind === 'publication') all.push(entry.publication.payload.toString());
    }
  }
  return all;
}

for (const [name, content] of [
  ['empty', Buffer.alloc(0)],
  ['a few bytes long', Buffer.from('TLSP')],
  ['zeros', Buffer.alloc(16)],
] as const) {
  test(`a segment that is ${name} because its creation was cut short is no obstacle`, async () => {
    const spool = await open();
    await appendOne(spool, 'kept');
    const next = spool.durableThrough + 2;
    await spool.close();
    await writeFile(join(directory, `${String(next).padStart(16, '0')}.spool`), content);
    const again = await open();
    await appendOne(again, 'next');
    assert.deepEqual(await texts(again), ['kept', 'next']);
    await again.close();
  });
}

test('a segment with another header stops the start with a sentence', async () => {
  await writeFile(join(directory, '0000000000000001.spool'), Buffer.alloc(64, 7));
  await assert.rejects(open(), /has no valid header\. Move it away/);
});

test('an identity that was cut short is made anew, and one that stands is kept', async () => {
  await writeFile(join(directory, 'epoch'), '');
  const spool = await open();
  const { epoch } = spool.uplink;
  assert.match(epoch, /^[0-9a-f-]{36}$/);
  await spool.close();
  const again = await open();
  assert.equal(again.uplink.epoch, epoch);
  assert.equal(await readFile(join(directory, 'epoch'), 'utf8'), epoch);
  await again.close();
});

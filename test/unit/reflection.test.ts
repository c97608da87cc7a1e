/** Reflection over the descriptors that the build writes, asked by the real buf and by hand. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { BinaryReader, BinaryWriter } from '@bufbuild/protobuf/wire';
import { Client, credentials, status } from '@grpc/grpc-js';
import { DescriptorFiles } from '../../core/grpc/descriptor-files.ts';
import { bearer, openTestFront, type TestFront } from '../support/front.ts';

const run = promisify(execFile);
const folder = mkdtempSync(join(tmpdir(), 'trunkline-reflection-'));
const descriptorFile = join(folder, 'descriptors.binpb');
let front: TestFront;

before(async () => {
  await run(process.execPath, ['tools/descriptors.mjs', descriptorFile]);
  front = await openTestFront({ descriptorFile, token: 'secret' });
});

after(async () => {
  await front.close();
  rmSync(folder, { recursive: true, force: true });
});

async function bufCurl(...args: string[]): Promise<string> {
  const { stdout } = await run('node_modules/.bin/buf', [
    'curl',
    '--http2-prior-knowledge',
    '--protocol',
    'grpc',
    ...args,
  ]);
  return stdout;
}

test('buf lists the services and methods that are served, by reflection alone', async () => {
  const methods = await bufCurl('--list-methods', `http://${front.address}`);
  assert.match(methods, /trunkline\.v1\.FleetService\/WatchSessions/);
  assert.match(methods, /trunkline\.v1\.GatewayService\/Attach/);
  assert.match(methods, /grpc\.health\.v1\.Health\/Check/);
  assert.doesNotMatch(methods, /TrunkService/, 'what is not served here is not listed');
  const services = await bufCurl('--list-services', `http://${front.address}`);
  assert.deepEqual(services.trim().split('\n').sort(), [
    'grpc.health.v1.Health',
    'trunkline.v1.FleetService',
    'trunkline.v1.GatewayService',
    'trunkline.v1.RegistryService',
  ]);
});

test('buf calls methods through reflection, and reads health', async () => {
  const edges = await bufCurl(
    '--data',
    '{"pageSize": 1}',
    `http://${front.address}/trunkline.v1.FleetService/ListSessions`,
  );
  assert.equal(JSON.parse(edges).complete, true);
  const health = await bufCurl(
    '--data',
    '{}',
    `http://${front.address}/grpc.health.v1.Health/Check`,
  );
  assert.equal(JSON.parse(health).status, 'SERVING');
});

test('buf publishes with a token and is turned away without', async () => {
  const url = `http://${front.address}/trunkline.v1.GatewayService/Publish`;
  const data = '{"publication": {"topic": "a/b", "payload": "aGk="}}';
  await bufCurl('--header', 'authorization: Bearer secret', '--data', data, url);
  assert.equal(front.fanout.published.at(-1)?.payload.toString(), 'hi');
  await assert.rejects(bufCurl('--data', data, url), /unauthenticated/i);
});

/** One question in the old version of the protocol, the first answer's bytes back. */
async function ask(question: Uint8Array): Promise<Buffer> {
  const client = new Client(front.address, credentials.createInsecure());
  const call = client.makeBidiStreamRequest(
    '/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo',
    (bytes: Buffer) => bytes,
    (bytes: Buffer) => bytes,
    bearer('not needed'),
  );
  try {
    return await new Promise((resolve, reject) => {
      call.once('data', resolve);
      call.once('error', reject);
      call.write(Buffer.from(question));
    });
  } finally {
    call.cancel();
    client.close();
  }
}

function field(bytes: Uint8Array, wanted: number): Uint8Array | undefined {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    if (number === wanted && wireType === 2) return reader.bytes();
    reader.skip(wireType);
  }
  return undefined;
}

test('v1alpha is answered too, with the file of a symbol and everything that it imports', async () => {
  const writer = new BinaryWriter();
  const answer = await ask(writer.uint32(34).string('trunkline.v1.FleetService').finish());
  const names: string[] = [];
  const reader = new BinaryReader(field(answer, 4) as Uint8Array);
  while (reader.pos < reader.len) {
    reader.tag();
    names.push(Buffer.from(field(reader.bytes(), 1) as Uint8Array).toString());
  }
  assert.deepEqual(names, [
    'trunkline/v1/fleet.proto',
    'trunkline/v1/session.proto',
    'trunkline/v1/trunk.proto',
    'trunkline/v1/publication.proto',
  ]);
});

test('an unknown symbol is answered with not-found, and the stream lives on', async () => {
  const answer = await ask(new BinaryWriter().uint32(34).string('no.Such').finish());
  const error = new BinaryReader(field(answer, 7) as Uint8Array);
  error.tag();
  assert.equal(error.int32(), status.NOT_FOUND);
  error.tag();
  assert.match(error.string(), /There is no symbol "no.Such"/);
});

test('symbols of every kind lead to their file', () => {
  const files = DescriptorFiles.read(descriptorFile);
  for (const symbol of [
    'trunkline.v1.Session',
    'trunkline.v1.Session.client_id',
    'trunkline.v1.SessionState',
    'trunkline.v1.FleetService.ListEdges',
    'grpc.health.v1.HealthCheckResponse.ServingStatus',
  ]) {
    assert.ok(files.hasSymbol(symbol), symbol);
  }
  assert.equal(files.bySymbol('trunkline.v1.Session')?.length, 1);
  assert.equal(files.byName('absent.proto'), undefined);
});

test('a program without descriptors serves everything but reflection', async () => {
  const bare = await openTestFront({ descriptorFile: join(folder, 'absent.binpb') });
  try {
    const { port } = bare.door;
    await assert.rejects(bufCurl('--list-methods', `http://127.0.0.1:${port}`), /unimplemented/i);
  } finally {
    await bare.close();
  }
});

/**
 * The manifests of Kubernetes do what they say, as far as that can be shown without a cluster: a NATS
 * server with the permissions that they give, a core and an edge with the environment that they give,
 * and every probe asked where it asks. Read from the project's root, where the test runner is started.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import mqtt from 'mqtt';
import { settings } from '../../base/config-schema.ts';
import { metric } from '../support/fleet.ts';
import { natsProgram, startNats } from '../support/nats-server.ts';
import { type RunningProcess, startProcess, temporaryFolder } from '../support/processes.ts';
import { until } from '../support/until.ts';

const manifest = (name: string) => readFileSync(join('docker/kubernetes', name), 'utf8');
const passwordHash = createHash('sha256').update('device').digest('hex');

/** What an operator puts into the secret. */
const secrets = new Map([
  ['nats-password', 'n4242424242'],
  ['trunk-token', 'trunk-secret'],
  ['gateway-token', 'gateway-secret'],
  ['http-token', 'http-secret'],
  ['device-users', JSON.stringify([{ username: 'meter', password_sha256: passwordHash }])],
]);

/** The environment that a set gives to its containers. */
function environmentOf(text: string, pod: string): Record<string, string> {
  const found = text.matchAll(
    /^ +- name: ([A-Z_]+)\n +(?:value: (.*)|valueFrom:\n +(fieldRef|secretKeyRef): \{(?:name: trunkline, )?(?:key|fieldPath): ([\w.-]+)\})$/gm,
  );
  const values = [...found].map(([, name = '', value, kind, key = '']) => {
    const given = kind === 'fieldRef' ? pod : secrets.get(key);
    return [name, value ?? given ?? assert.fail(`${name} has no value`)] as const;
  });
  return Object.fromEntries(values);
}

function natsConf(): string {
  const [, indented = ''] = /nats\.conf: \|\n([\s\S]*?)\n---/.exec(manifest('nats.yaml')) ?? [];
  return indented.replaceAll(/^ {4}/gm, '');
}

/** All paths that a set's probes ask, at the port of that name. */
function probesOf(text: string, port: string): string[] {
  const probes = text.matchAll(/httpGet: \{path: "?([^",]+)"?, port: (\w+)\}/g);
  return [...probes].map(([, path = '', at = '']) => {
    assert.equal(at, port);
    return path;
  });
}

async function answered(port: number, paths: readonly string[]): Promise<void> {
  assert.equal(paths.length, 3);
  for (const path of paths) {
    await until(async () => {
      const response = await fetch(`http://127.0.0.1:${port}${path}`);
      return response.status === 200;
    }, `200 at ${path}`);
  }
}

test('the configuration of the NATS servers is one', () => {
  const file = join(temporaryFolder(), 'nats.conf');
  // 2.9, which tests may run with, does not know it.
  writeFileSync(file, natsConf().replace(/^ *sync_interval: .*$/m, ''));
  const env = { ...process.env, POD_NAME: 'nats-0', NATS_PASSWORD: 'n42' };
  const { status, stderr } = spawnSync(natsProgram(), ['-t', '-c', file], { env });
  assert.equal(status, 0, stderr.toString());
});

test('a core and an edge start as the manifests start them, and answer their probes', async () => {
  const natsEnv = environmentOf(manifest('nats.yaml'), 'nats-0');
  process.env['NATS_PASSWORD'] = natsEnv['NATS_PASSWORD'];
  const [authorization] = /^authorization \{[\s\S]*^\}$/m.exec(natsConf()) ?? assert.fail();
  const nats = await startNats(`jetstream { store_dir: "FOLDER" }\n${authorization}`);
  const tiers: RunningProcess[] = [];
  try {
    const coreEnv = environmentOf(manifest('core.yaml'), 'core-0');
    assert.match(coreEnv['TRUNKLINE_CORE_BACKPLANE'] ?? '', /^nats:\/\/nats-0\.nats:4222,/);
    const core = await startProcess('core', { env: coreEnv, flags: ['--backplane', nats.url] });
    tiers.push(core);
    const address = `localhost:${core.port('trunk')}`;
    const edgeEnv = environmentOf(manifest('edge.yaml'), 'edge-0');
    const edge = await startProcess('edge', { env: edgeEnv, flags: ['--edge-cores', address] });
    tiers.push(edge);
    await until(async () => (await metric(core, 'trunkline_edges')) === 1, 'the edge is attached');
    await answered(core.port('http'), probesOf(manifest('core.yaml'), 'http'));
    await answered(edge.port('http'), probesOf(manifest('edge.yaml'), 'http'));
    await answered(nats.monitorPort, probesOf(manifest('nats.yaml'), 'monitor'));
    const device = await mqtt.connectAsync(`mqtt://127.0.0.1:${edge.port('mqtt')}`, {
      username: 'meter',
      password: 'device',
    });
    await device.publishAsync('a/b', 'x', { qos: 1 });
    await device.endAsync();
    for (const tier of tiers.splice(0).reverse()) {
      const { code } = await tier.stop();
      assert.equal(code, 0, 'SIGTERM ends it in order');
    }
  } finally {
    await Promise.all(tiers.map((tier) => tier.kill()));
    await nats.kill();
  }
});

test('ports of containers and services are those that the tiers listen on', () => {
  const portOf = (path: string) =>
    settings().find((setting) => setting.path === path)?.defaultValue as number;
  const expected = {
    'core.yaml': {
      trunk: portOf('trunk.port'),
      gateway: portOf('gateway.port'),
      http: portOf('http.port'),
    },
    'edge.yaml': { mqtt: portOf('mqtt.port'), http: portOf('edge.http_port') },
    'nats.yaml': { client: 4222, cluster: 6222, monitor: 8222 },
  };
  for (const [file, ports] of Object.entries(expected)) {
    const named = manifest(file).matchAll(/\{name: (\w+), (?:port|containerPort): (\d+)\}/g);
    const seen = new Set<string>();
    for (const [, name = '', port = ''] of named) {
      assert.equal(Number(port), (ports as Record<string, number>)[name], `${file}: ${name}`);
      seen.add(name);
    }
    assert.deepEqual([...seen].sort(), Object.keys(ports).sort(), file);
  }
});

/**
 * The files for a cluster in containers and on Kubernetes fit the program: settings that exist, secrets
 * that are given, ports on loopback, ordinary users, probes, budgets, time to drain. Nothing here runs a
 * container. Read from the project's root, where the test runner is started.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { settings } from '../../base/config-schema.ts';

const folder = 'docker/kubernetes';
const compose = readFileSync('docker/compose.cluster.yaml', 'utf8');
const manifests = readdirSync(folder).map((name) => readFileSync(join(folder, name), 'utf8'));
const documents = manifests.flatMap((text) => text.split(/^---$/m));
const sets = documents.filter((text) => /^kind: StatefulSet$/m.test(text));

const all = (text: string, pattern: RegExp) =>
  [...text.matchAll(pattern)].map(([, found]) => found as string);
const nameOf = (text: string) => all(text, /^metadata:\n {2}name: (\S+)$/gm)[0];

test('every setting that the files of a cluster give is one', () => {
  const known = new Set(settings().map((setting) => setting.env));
  const given = [
    ...all(compose, /^\s+(TRUNKLINE_\w+):/gm),
    ...manifests.flatMap((text) => all(text, /^\s+- name: (TRUNKLINE_\w+)$/gm)),
  ];
  assert.ok(given.length > 20);
  const unknown = given.filter((name) => !known.has(name));
  assert.deepEqual(unknown, []);
});

test('every secret of a cluster must be given, and stands in no file', () => {
  for (const use of compose.match(/\$\{[^}]*\}/g) ?? []) {
    assert.match(use, /^\$\{[A-Z_]+:\?[^}]+\}$/);
  }
  for (const line of compose.match(/_(TOKEN|PASSWORD|USERS): .*/g) ?? []) {
    assert.match(line, /\$\{/, line);
  }
  for (const text of manifests) {
    const secrets = text.match(/- name: \w+_(TOKEN|PASSWORD|USERS)\n.*\n.*/g) ?? [];
    assert.ok(secrets.length > 0);
    for (const secret of secrets) assert.match(secret, /secretKeyRef: \{name: trunkline, key: /);
  }
});

test('the cluster in containers has three servers, two cores and three edges, on loopback', () => {
  const services = all(compose, /^ {2}((?:nats|core|edge)-\d):$/gm);
  const expected = ['nats-1', 'nats-2', 'nats-3', 'core-1', 'core-2', 'edge-1', 'edge-2', 'edge-3'];
  assert.deepEqual(services, expected);
  const ports = all(compose, /^\s+ports: \[(.*)\]$/gm).flatMap((list) => list.split(', '));
  assert.equal(new Set(ports.map((port) => port.split(':')[1])).size, 10);
  for (const port of ports) assert.match(port, /^"127\.0\.0\.1:\d+:\d+"$/);
});

test('each set of pods runs as an ordinary user, is probed, and is disrupted one at a time', () => {
  assert.deepEqual(sets.map(nameOf).toSorted(), ['core', 'edge', 'nats']);
  const budgets = documents.filter((text) => /^kind: PodDisruptionBudget$/m.test(text));
  assert.deepEqual(budgets.map(nameOf).toSorted(), ['core', 'edge', 'nats']);
  for (const budget of budgets) assert.match(budget, /maxUnavailable: 1$/m);
  for (const set of sets) {
    for (const expected of [
      /runAsNonRoot: true/,
      /readOnlyRootFilesystem: true/,
      /allowPrivilegeEscalation: false/,
      /startupProbe:\n\s+httpGet: \{path: \/healthz,/,
      /readinessProbe:/,
      /livenessProbe:/,
      /topologyKey: kubernetes\.io\/hostname/,
    ]) {
      assert.match(set, expected, nameOf(set));
    }
  }
});

test('a pod that is told to go has the time that its tier takes for it', () => {
  const drain = settings().find(({ env }) => env === 'TRUNKLINE_CORE_DRAIN_SECONDS');
  const core = sets.find((set) => nameOf(set) === 'core') ?? '';
  const [grace] = all(core, /terminationGracePeriodSeconds: (\d+)/g);
  assert.ok(Number(grace) > Number(drain?.defaultValue), `${grace} s`);
});

test('the files of a cluster are indented with pairs of spaces', () => {
  for (const text of [compose, readFileSync('docker/nats.conf', 'utf8'), ...manifests]) {
    for (const line of text.split('\n')) assert.match(line, /^( {2})*([^\s]|$)/, line);
  }
});

test('both NATS configurations let a core do the same', () => {
  const permissions = /publish: \[.*\]\n\s+subscribe: \[.*\]/;
  const [container] = permissions.exec(readFileSync('docker/nats.conf', 'utf8')) ?? [''];
  const [pod] = permissions.exec(manifests.join('\n')) ?? [''];
  const lines = (text: string) => text.split('\n').map((line) => line.trim());
  assert.deepEqual(lines(pod), lines(container));
});

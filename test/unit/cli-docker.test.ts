/**
 * The container files fit the program: settings that exist, secrets that must be given, ports on
 * loopback alone, metrics that are really there. Nothing here runs a container. Read from the
 * project's root, where the test runner is started.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { settings } from '../../base/config-schema.ts';

const compose = readFileSync('docker/compose.yaml', 'utf8');
const dashboard = readFileSync('docker/grafana/dashboards/trunkline.json', 'utf8');
const operating = readFileSync('docs/operating.md', 'utf8');

/** Names of all metrics that the tiers' sources register. */
function registeredMetrics(): Set<string> {
  const names = new Set<string>();
  for (const folder of ['base', 'broker', 'bridge', 'core', 'cli']) {
    for (const path of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
      if (!path.endsWith('.ts')) continue;
      const text = readFileSync(join(folder, path), 'utf8');
      for (const [, name] of text.matchAll(/'(trunkline_[a-z0-9_]+)'/g)) names.add(name as string);
    }
  }
  return names;
}

test('every setting that the compose file gives is one', () => {
  const known = new Set(settings().map((setting) => setting.env));
  const given = [...compose.matchAll(/^\s+(TRUNKLINE_\w+):/gm)].map(([, name]) => name as string);
  assert.ok(given.length > 10);
  assert.deepEqual(
    given.filter((name) => !known.has(name)),
    [],
  );
});

test('every secret of the compose file must be given', () => {
  const uses = compose.match(/\$\{[^}]*\}/g) ?? [];
  assert.ok(uses.length >= 5);
  for (const use of uses) assert.match(use, /^\$\{[A-Z_]+:\?[^}]+\}$/);
  for (const line of compose.match(/_(TOKEN|PASSWORD|USERS): .*/g) ?? []) {
    assert.match(line, /\$\{/, line);
  }
});

test('every port is published on loopback alone', () => {
  const ports = [...compose.matchAll(/^\s+ports: \[(.*)\]$/gm)].flatMap(([, list]) =>
    (list as string).split(', '),
  );
  assert.equal(ports.length, 8);
  for (const port of ports) assert.match(port, /^"127\.0\.0\.1:\d+:\d+"$/);
});

test('the container files are indented with pairs of spaces', () => {
  for (const file of ['docker/compose.yaml', 'docker/prometheus.yaml']) {
    for (const line of readFileSync(file, 'utf8').split('\n')) {
      assert.match(line, /^( {2})*([^\s]|$)/, `${file}: ${line}`);
    }
  }
});

test('the image runs as an ordinary user and writes to its volume alone', () => {
  const stages = readFileSync('docker/Dockerfile', 'utf8').split(/^FROM /m);
  const last = stages.at(-1) ?? '';
  assert.match(last, /^USER node$/m);
  assert.match(last, /^VOLUME \/data$/m);
  assert.match(last, /^HEALTHCHECK /m);
  assert.match(compose, /read_only: true/);
});

test('every metric on the dashboard is registered, and each panel names its source', () => {
  const known = registeredMetrics();
  const { panels } = JSON.parse(dashboard) as {
    panels: { type: string; targets?: { expr: string }[] }[];
  };
  const charts = panels.filter((panel) => panel.type === 'timeseries');
  assert.ok(charts.length >= 10);
  for (const { expr } of charts.flatMap((panel) => panel.targets ?? [])) {
    for (const name of expr.match(/trunkline_[a-z0-9_]+/g) ?? []) assert.ok(known.has(name), name);
  }
});

test('the operating page lists exactly the metrics that are registered', () => {
  const listed = [...operating.matchAll(/^\| `(trunkline_[a-z0-9_]+)`/gm)].map(([, name]) => name);
  assert.deepEqual(listed.toSorted(), [...registeredMetrics()].toSorted());
});

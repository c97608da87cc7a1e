/** The parts of the edge's bench that decide what a table says. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { coresOf, openFilesMax } from '../../bench/edge/cores.ts';
import { bestOf, figuresOf } from '../../bench/edge/figures.ts';
import type { LoadResult } from '../../bench/edge/load.ts';
import { optionsOf } from '../../bench/edge/options.ts';
import { textOf } from '../../bench/edge/report.ts';
import { carries, scenarios } from '../../bench/edge/scenarios.ts';

const round: LoadResult = {
  delivered: 1000,
  sent: 1500,
  lost: 0,
  reordered: 0,
  seconds: 2,
  brokerCpu: 1,
  loadCpu: 0.5,
  otherCpu: 0.1,
};

test('figures are medians of the rounds, but losses are of all rounds together', () => {
  const figures = figuresOf([
    { ...round, lost: 1 },
    { ...round, delivered: 4000 },
    { ...round, delivered: 2000, lost: 2 },
  ]);
  assert.equal(figures.perSecond, 1000);
  assert.equal(figures.cpu, 500);
  assert.equal(figures.brokerCores, 0.5);
  assert.equal(figures.lost, 3);
});

test('the better of two settings is taken for each figure, the worse for what casts doubt', () => {
  const quick = figuresOf([{ ...round, delivered: 4000, brokerCpu: 2, p99: 900, lost: 5 }]);
  const thrifty = figuresOf([{ ...round, brokerCpu: 0.1, p99: 300 }]);
  const best = bestOf([quick, thrifty]);
  assert.equal(best.perSecond, quick.perSecond);
  assert.equal(best.cpu, thrifty.cpu);
  assert.equal(best.p99, 300);
  assert.equal(best.lost, 5);
});

test('a row has the ratio to the better mosquitto, and a busy machine is told', () => {
  const at = { scenario: 'qos0-pairs', round: 1 };
  const text = textOf(
    {
      machine: { cpus: 2, model: 'some processor', node: 'v20' },
      settings: { seconds: 1, rounds: 1, protocol: 4, syncMs: 0.5 },
      notes: [],
      measurements: [
        { ...at, system: 'mosquitto', load: round },
        { ...at, system: 'mosquitto-nodelay', load: { ...round, delivered: 2000 } },
        { ...at, system: 'trunkline', load: { ...round, delivered: 20_000, otherCpu: 2 } },
      ],
    },
    true,
  );
  assert.match(text, /^\| QoS 0, 100 pairs, 32 at once \| 1,000 \| 10,000 \| 10\.00 \| /m);
  assert.match(text, /other work took up to 1\.00 cores/);
});

test('scenarios are chosen and left out by name, and an unknown name is refused with the known', () => {
  const chosen = optionsOf(['--only', 'qos0-pairs,qos1-pairs', '--skip', 'qos0-pairs']);
  assert.deepEqual(chosen?.scenarios, ['qos1-pairs']);
  assert.equal(optionsOf([])?.scenarios.length, scenarios.length);
  assert.throws(() => optionsOf(['--only', 'qos9']), /"qos9" is not one of qos0-pairs, /);
  assert.throws(() => optionsOf(['--rounds', '0']), /--rounds is "0"/);
  assert.equal(optionsOf(['--help']), null);
});

test('only what can be delayed by a disk is measured a second time without one', () => {
  const again = scenarios.filter((scenario) => carries('trunkline-memory', scenario));
  assert.ok(again.length > 0);
  assert.ok(again.every(({ qos }) => qos > 0));
});

test('broker and load generator get the first two cores that the process may use', () => {
  assert.deepEqual(coresOf('Cpus_allowed_list:\t0-3\n'), { broker: 0, load: 1 });
  assert.deepEqual(coresOf('Cpus_allowed_list:\t5,7-8\n'), { broker: 5, load: 7 });
  assert.deepEqual(coresOf('Cpus_allowed_list:\t3\n'), { broker: 3, load: 3 });
  assert.equal(
    openFilesMax('Max open files            1024                 20000    files\n'),
    20_000,
  );
});

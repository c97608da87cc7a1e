/**
 * `trunkline devices simulate`: a fleet of simulated devices against any MQTT broker, with everything
 * received back and checked. The exit code says whether the broker kept its word.
 */
import { systemClock } from '../base/clock.ts';
import { TrunklineError } from '../base/errors.ts';
import { FleetVerifier } from '../devices/fleet-verifier.ts';
import { LedgerCheck } from '../devices/ledger-check.ts';
import { fleetMixes, profilesOf } from '../devices/profiles/profiles.ts';
import { SimulatedFleet } from '../devices/simulated-fleet.ts';
import { brokerAddress, brokerOptions, qosOf, runName } from './broker-options.ts';
import type { CommandIo } from './command.ts';
import { isBroken, reportJson, reportText, type SimulationReport } from './devices-report.ts';
import { Interrupt, waitUnlessAborted } from './interrupt.ts';
import { defineOptions, type Given, helpText, parseOptions } from './options.ts';
import { ProgressLine } from './progress-line.ts';

const drainPollMs = 50;

/** A timer may end a moment before its time, and the last messages would not be due yet. */
const earlyMs = 2;

const spec = defineOptions({
  usage: 'trunkline devices simulate [options]',
  summary: 'Simulate a fleet, receive everything back and check that nothing is missing.',
  positionals: { names: ['simulate'] },
  options: {
    count: { kind: 'number', default: 1000, min: 1, max: 100_000, about: 'Devices.' },
    rate: {
      kind: 'number',
      default: 1000,
      min: 0.1,
      max: 1_000_000,
      fraction: true,
      about: 'Messages a second over the whole fleet.',
    },
    seconds: { kind: 'number', default: 10, min: 1, about: 'How long to publish.' },
    profile: {
      kind: 'text',
      placeholder: 'NAME',
      choices: fleetMixes,
      default: 'mixed',
      about: 'Kind of devices.',
    },
    qos: {
      kind: 'text',
      short: 'q',
      placeholder: 'QOS',
      choices: ['0', '1', '2'],
      default: '1',
      about: 'Quality of service, both ways.',
    },
    'drain-seconds': {
      kind: 'number',
      default: 10,
      min: 1,
      about: 'At the end, wait this long without any progress for what is missing.',
    },
    seed: { kind: 'number', default: 1, min: 0, about: 'Another seed, another story.' },
    json: { kind: 'flag', about: 'Print the summary as JSON.' },
    ...brokerOptions,
  },
  notes: [
    'Exit code 1 when a message that the broker acknowledged did not come back, or, at QoS 2, came',
    'twice. Ctrl-C ends the publishing early; the summary is printed all the same.',
  ],
});

type Values = Given<typeof spec.options>['values'];

export async function devicesCommand(args: string[], io: CommandIo): Promise<number> {
  const { help, values, positionals } = parseOptions(spec, args);
  if (help) {
    io.stdout.write(helpText(spec));
    return 0;
  }
  if (positionals[0] !== 'simulate') {
    throw new TrunklineError(
      'config-invalid',
      `There is no \`trunkline devices ${positionals[0]}\`. See \`trunkline devices simulate --help\`.`,
    );
  }
  const interrupt = new Interrupt();
  try {
    const report = await simulate(values, io, interrupt.signal);
    io.stdout.write(values.json ? reportJson(report) : reportText(report));
    return isBroken(report) ? 1 : 0;
  } finally {
    interrupt.close();
  }
}

async function simulate(
  values: Values,
  io: CommandIo,
  signal: AbortSignal,
): Promise<SimulationReport> {
  const qos = qosOf(values.qos);
  const address = brokerAddress(values);
  const run = runName();
  const check = new LedgerCheck({ elapsed: systemClock.elapsed, acknowledged: qos > 0 });
  const profiles = profilesOf(values.profile).map((profile) => profile.name);
  const verifier = new FleetVerifier(address, check, { run, profiles, qos });
  const fleet = new SimulatedFleet(
    { clock: systemClock, address, books: check },
    { run, qos, count: values.count, rate: values.rate, mix: values.profile, seed: values.seed },
  );
  const progress = new ProgressLine(systemClock, io.stderr);
  try {
    await verifier.open();
    const connectStart = systemClock.elapsed();
    progress.start(() => `connecting: ${fleet.openedCount} of ${values.count} devices`);
    await fleet.open(signal);
    const connectMs = systemClock.elapsed() - connectStart;
    progress.start(() => progressText(check));
    const publishStart = systemClock.elapsed();
    fleet.start(Math.round(values.rate * values.seconds));
    await waitUnlessAborted(values.seconds * 1000 + earlyMs, signal);
    fleet.stop();
    const seconds = (systemClock.elapsed() - publishStart) / 1000;
    await drain(check, values['drain-seconds'] * 1000);
    progress.close();
    return {
      devices: fleet.openedCount,
      qos,
      connectMs: Math.round(connectMs),
      seconds,
      held: fleet.heldCount,
      ...check.summary(),
    };
  } finally {
    progress.close();
    await fleet.close();
    await verifier.close();
  }
}

/** Until every message is accounted for, or nothing has come for so long. */
async function drain(check: LedgerCheck, patienceMs: number): Promise<void> {
  let progress = check.progress;
  let since = systemClock.elapsed();
  while (!check.isSettled && systemClock.elapsed() - since < patienceMs) {
    await new Promise<void>((resolve) => {
      systemClock.after(drainPollMs, resolve);
    });
    if (check.progress === progress) continue;
    progress = check.progress;
    since = systemClock.elapsed();
  }
}

function progressText(check: LedgerCheck): string {
  const { sent, acked, received, missing } = check.summary();
  return `sent ${sent}, acknowledged ${acked}, received ${received}, on the way ${missing}`;
}

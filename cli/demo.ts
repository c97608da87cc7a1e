/**
 * `trunkline demo`: everything on this machine with a simulated fleet and gateways on it, until
 * Ctrl-C. Its data goes to a temporary folder that is removed at the end.
 */
import { systemClock } from '../base/clock.ts';
import {
  type BrokerAddress,
  closeMqttClient,
  type MqttClient,
  openMqttClient,
  subscribeMqtt,
} from '../devices/mqtt-client.ts';
import { SimulatedFleet } from '../devices/simulated-fleet.ts';
import { SimulatedGateway } from '../devices/simulated-gateway.ts';
import { runName } from './broker-options.ts';
import type { CommandIo } from './command.ts';
import { type DemoSystem, startUp } from './demo-system.ts';
import { Interrupt, waitUnlessAborted } from './interrupt.ts';
import { defineOptions, type Given, helpText, parseOptions } from './options.ts';
import { ProgressLine } from './progress-line.ts';

/** A gateway's devices are few and slow: constrained ones. */
const gatewayRate = 5;

/** In a log, where the line does not rewrite itself. */
const statusLineMs = 10_000;

const spec = defineOptions({
  usage: 'trunkline demo [options] [-- flags of trunkline up]',
  summary: 'Run everything on this machine with a simulated fleet on it, until Ctrl-C.',
  positionals: { names: ['flags'], optional: 1, rest: true },
  options: {
    devices: { kind: 'number', default: 200, min: 1, max: 10_000, about: 'Devices over MQTT.' },
    rate: { kind: 'number', default: 200, min: 1, about: 'Messages a second of all of them.' },
    gateways: { kind: 'number', default: 2, min: 0, max: 50, about: 'Gateways over gRPC.' },
    'gateway-devices': {
      kind: 'number',
      default: 10,
      min: 1,
      max: 1_000,
      about: 'Devices behind each gateway.',
    },
    seconds: { kind: 'number', min: 1, about: 'End by itself after this long.' },
  },
  notes: ['Example with another port: trunkline demo -- --http-port 8090'],
});

type Values = Given<typeof spec.options>['values'];

/** `start` brings up the system to play on; the one given is told apart from `trunkline up`. */
export async function demoCommand(
  args: string[],
  io: CommandIo,
  start: typeof startUp = startUp,
): Promise<number> {
  const { help, values, positionals } = parseOptions(spec, args);
  if (help) {
    io.stdout.write(helpText(spec));
    return 0;
  }
  const interrupt = new Interrupt();
  try {
    const system = await start(positionals, io, interrupt.signal);
    if (system === null) return 0;
    try {
      await Promise.race([play(system, values, { io, signal: interrupt.signal }), system.failed]);
    } finally {
      await system.close();
    }
  } finally {
    interrupt.close();
  }
  return 0;
}

/** Plays until it is told to stop. */
async function play(
  system: DemoSystem,
  values: Values,
  { io, signal }: { io: CommandIo; signal: AbortSignal },
): Promise<void> {
  const books = new SentCount();
  const fleet = demoFleet(system.mqtt, values, books);
  const gateways = demoGateways(system, values);
  const progress = new ProgressLine(systemClock, io.stderr, { lineMs: statusLineMs });
  const listeners: MqttClient[] = [];
  const forget = stopOn(system.failed, signal);
  try {
    for (const listener of applications) listeners.push(await openListener(system.mqtt, listener));
    progress.start(() => `connecting: ${fleet.openedCount} of ${values.devices} devices`);
    await fleet.open(forget.signal);
    progress.close();
    fleet.start();
    for (const gateway of gateways) gateway.open();
    io.stdout.write(whereToLook(system, values));
    progress.start(() => statusText({ fleet, gateways, books }));
    const ms = values.seconds === undefined ? longestMs : values.seconds * 1000;
    await waitUnlessAborted(ms, forget.signal);
  } finally {
    forget.close();
    progress.close();
    await Promise.all(gateways.map((gateway) => gateway.close()));
    await fleet.close();
    await Promise.all(listeners.map(closeMqttClient));
  }
}

/** The longest timer there is, 24 days. */
const longestMs = 2 ** 31 - 1;

/** A signal that is aborted when the user stops, or when the system is gone. */
function stopOn(
  failed: Promise<never>,
  interrupt: AbortSignal,
): { signal: AbortSignal; close(): void } {
  const controller = new AbortController();
  const stop = () => controller.abort();
  if (interrupt.aborted) stop();
  interrupt.addEventListener('abort', stop, { once: true });
  failed.catch(stop);
  return {
    signal: controller.signal,
    close: () => interrupt.removeEventListener('abort', stop),
  };
}

/** Programs that use what the fleet says, so that messages go out as well as in. */
const applications = [
  { clientId: 'app-dashboard', filter: 'fleet/#' },
  { clientId: 'app-map', filter: 'fleet/tracker/+/position' },
  { clientId: 'app-billing', filter: 'fleet/meter/+/consumption' },
] as const;

async function openListener(
  address: BrokerAddress,
  { clientId, filter }: (typeof applications)[number],
): Promise<MqttClient> {
  const client = await openMqttClient(address, { clientId, clean: true });
  await subscribeMqtt(client, filter, 1);
  return client;
}

class SentCount {
  value = 0;

  sent(): void {
    this.value++;
  }

  acked(): void {
    // The demo shows what is sent; whether it arrives is what `devices simulate` checks.
  }
}

function demoFleet(address: BrokerAddress, values: Values, books: SentCount): SimulatedFleet {
  return new SimulatedFleet(
    { clock: systemClock, address, books },
    {
      run: runName(),
      count: values.devices,
      rate: values.rate,
      qos: 1,
      mix: 'mixed',
      seed: 1,
    },
  );
}

function demoGateways(system: DemoSystem, values: Values): SimulatedGateway[] {
  return Array.from({ length: values.gateways }, (_, index) => {
    const { address, token } = system.gateway;
    return new SimulatedGateway(systemClock, {
      address,
      token,
      id: `gateway-${index + 1}`,
      devices: values['gateway-devices'],
      rate: gatewayRate,
      mix: 'mixed',
      seed: 10_000 * (index + 1),
    });
  });
}

function whereToLook(system: DemoSystem, values: Values): string {
  const port = system.mqtt.port === 1883 ? '' : ` --port ${system.mqtt.port}`;
  return [
    `Demo: ${values.devices} devices over MQTT at ${values.rate} messages a second, and ` +
      `${values.gateways} gateways with ${values['gateway-devices']} devices each.`,
    '',
    `  Look at the fleet   ${system.httpUrl}/`,
    `  As JSON             ${system.httpUrl}/v1/sessions?filter=client_id=meter-*`,
    `  Metrics             ${system.httpUrl}/metrics`,
    `  MQTT, gRPC          mqtt://${system.mqtt.host}:${system.mqtt.port}, ${system.gateway.address}`,
    `  Listen in           trunkline sub${port} 'fleet/#'`,
    '',
    'Ctrl-C ends it.',
    '',
  ].join('\n');
}

function statusText(parts: {
  fleet: SimulatedFleet;
  gateways: readonly SimulatedGateway[];
  books: SentCount;
}): string {
  const counts = parts.gateways.map((gateway) => gateway.counts);
  const published = counts.reduce((sum, gateway) => sum + gateway.published, 0);
  const attached = counts.filter((gateway) => gateway.attached).length;
  const fault = counts.find((gateway) => gateway.fault !== '')?.fault;
  return [
    `${parts.fleet.connectedCount} devices connected, ${parts.books.value} messages sent`,
    `${attached} gateways attached, ${published} messages published`,
    ...(fault === undefined ? [] : [`a gateway waits: ${fault}`]),
  ].join('; ');
}

/**
 * `trunkline demo`: a core and two edges on this machine with a simulated fleet and gateways on
 * them, until Ctrl-C. Its data goes to a temporary folder that is removed at the end.
 */
import { systemClock } from '../base/clock.ts';
import {
  closeMqttClient,
  type MqttClient,
  openMqttClient,
  subscribeMqtt,
} from '../devices/mqtt-client.ts';
import { SimulatedFleet } from '../devices/simulated-fleet.ts';
import { SimulatedGateway } from '../devices/simulated-gateway.ts';
import { programPath } from './banner.ts';
import type { CommandIo } from './command.ts';
import { type DemoEdge, type DemoSystem, startUp } from './demo-system.ts';
import { Interrupt, waitUnlessAborted } from './interrupt.ts';
import { defineOptions, type Given, helpText, parseOptions } from './options.ts';
import { ProgressLine } from './progress-line.ts';

/** A gateway's devices are few and slow: constrained ones. */
const gatewayRate = 5;

/** In a log, where the line does not rewrite itself. */
const statusLineMs = 10_000;

const spec = defineOptions({
  usage: 'trunkline demo [options] [-- flags of trunkline up]',
  summary: 'Run a core and two edges on this machine with a simulated fleet, until Ctrl-C.',
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
  const fleets = demoFleets(system.edges, values, books);
  const gateways = demoGateways(system, values);
  const progress = new ProgressLine(systemClock, io.stderr, { lineMs: statusLineMs });
  const listeners: MqttClient[] = [];
  const forget = stopOn(system.failed, signal);
  const openedCount = () => fleets.reduce((sum, fleet) => sum + fleet.openedCount, 0);
  try {
    for (const listener of applications) listeners.push(await openListener(system, listener));
    progress.start(() => `connecting: ${openedCount()} of ${values.devices} devices`);
    await Promise.all(fleets.map((fleet) => fleet.open(forget.signal)));
    progress.close();
    for (const fleet of fleets) fleet.start();
    for (const gateway of gateways) gateway.open();
    io.stdout.write(whereToLook(system, values));
    progress.start(() => statusText({ fleets, gateways, books }));
    const ms = values.seconds === undefined ? longestMs : values.seconds * 1000;
    await waitUnlessAborted(ms, forget.signal);
  } finally {
    forget.close();
    progress.close();
    await Promise.all(gateways.map((gateway) => gateway.close()));
    await Promise.all(fleets.map((fleet) => fleet.close()));
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

/** Programs that use what the fleet says, at both edges, so that messages cross the trunk. */
const applications = [
  { clientId: 'app-dashboard', filter: 'fleet/#', at: 0 },
  { clientId: 'app-map', filter: 'fleet/tracker/+/position', at: 1 },
  { clientId: 'app-billing', filter: 'fleet/meter/+/consumption', at: 1 },
] as const;

async function openListener(
  { edges }: DemoSystem,
  { clientId, filter, at }: (typeof applications)[number],
): Promise<MqttClient> {
  const edge = edges[at % edges.length] as DemoEdge;
  const client = await openMqttClient(edge.mqtt, { clientId, clean: true });
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

/** The devices are spread over the edges; their names tell where. */
function demoFleets(
  edges: readonly DemoEdge[],
  values: Values,
  books: SentCount,
): SimulatedFleet[] {
  return edges.map(({ id, mqtt }, index) => {
    const count = shareOf(values.devices, { index, of: edges.length });
    return new SimulatedFleet(
      { clock: systemClock, address: mqtt, books },
      {
        run: id,
        count,
        rate: (values.rate * count) / values.devices,
        qos: 1,
        mix: 'mixed',
        seed: 1 + 100_000 * index,
      },
    );
  });
}

/** Whole numbers that add up to the total. */
function shareOf(total: number, { index, of }: { index: number; of: number }): number {
  return Math.floor((total * (index + 1)) / of) - Math.floor((total * index) / of);
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
  const { edges, gateway, httpUrl } = system;
  const ports = edges.map(({ id, mqtt }) => `${mqtt.port} (${id})`).join(', ');
  const port = edges[0]?.mqtt.port ?? 1883;
  const flag = port === 1883 ? '' : ` --port ${port}`;
  return [
    `Demo: ${values.devices} devices over MQTT at ${values.rate} messages a second, and ` +
      `${values.gateways} gateways with ${values['gateway-devices']} devices each.`,
    '',
    `  Look at the fleet   ${httpUrl}/`,
    `  As JSON             ${httpUrl}/v1/sessions?filter=client_id=meter-*`,
    `  Metrics             ${httpUrl}/metrics`,
    `  Ports on 127.0.0.1  MQTT ${ports}; gRPC ${gateway.address.split(':').at(-1)}`,
    `  Listen in           node ${programPath()} sub${flag} 'fleet/#'`,
    '',
    'Ctrl-C ends it.',
    '',
  ].join('\n');
}

function statusText(parts: {
  fleets: readonly SimulatedFleet[];
  gateways: readonly SimulatedGateway[];
  books: SentCount;
}): string {
  const connected = parts.fleets.reduce((sum, fleet) => sum + fleet.connectedCount, 0);
  const counts = parts.gateways.map((gateway) => gateway.counts);
  const published = counts.reduce((sum, gateway) => sum + gateway.published, 0);
  const attached = counts.filter((gateway) => gateway.attached).length;
  const fault = counts.find((gateway) => gateway.fault !== '')?.fault;
  return [
    `${connected} devices connected, ${parts.books.value} messages sent`,
    `${attached} gateways attached, ${published} messages published`,
    ...(fault === undefined ? [] : [`a gateway waits: ${fault}`]),
  ].join('; ');
}

/**
 * `trunkline up`: a core and an edge on one machine, each its own process so that both can use a
 * CPU, joined by a real trunk. Starts the core, then the edge; stops them the other way round.
 */
import type { Config } from '../base/config.ts';
import { settings } from '../base/config-schema.ts';
import { messageOf, TrunklineError } from '../base/errors.ts';
import { createLog, type Logger } from '../base/log.ts';
import { authority, bannerText, reachableHost } from './banner.ts';
import { ChildTier, type Ports } from './child-tier.ts';
import type { CommandIo } from './command.ts';
import { configOf, flagLines, parseSettings, type SettingsLine } from './config-flags.ts';
import { tellParent, underParent } from './parent-process.ts';
import { askReadiness } from './readiness-call.ts';
import { StopRequest } from './stop-request.ts';

const readyMsMax = 30_000;
const readyPollMs = 50;

const corePortFlags = new Map([
  ['trunk', 'trunk-port'],
  ['gateway', 'gateway-port'],
  ['http', 'http-port'],
]);
const edgePortFlags = new Map([
  ['mqtt', 'mqtt-port'],
  ['mqtts', 'mqtts-port'],
  ['ws', 'ws-port'],
  ['wss', 'wss-port'],
  ['http', 'edge-http-port'],
]);

export async function upCommand(args: string[], io: CommandIo): Promise<number> {
  const line = parseSettings(args);
  if (line.isHelp) {
    io.stdout.write(helpText());
    return 0;
  }
  return underParent(() => supervisePair(line, args, io));
}

async function supervisePair(line: SettingsLine, args: string[], io: CommandIo): Promise<number> {
  const config = configOf(line, io.env);
  const log = createLog({ ...config.log, tier: 'up' });
  const stop = new StopRequest(log);
  const pair = new TierPair({ log, config, args });
  try {
    const ports = await Promise.race([pair.start(), stop.requested.then(() => null)]);
    if (ports !== null) {
      io.stdout.write(bannerText(config, ports));
      await tellParent({ event: 'ready', ports: flatPorts(ports) });
      await stop.requested;
    }
  } finally {
    await pair.stop();
    stop.close();
  }
  return 0;
}

/** The core and the edge that serves it, as child processes. */
class TierPair {
  readonly #log: Logger;
  readonly #config: Config;
  readonly #args: readonly string[];
  readonly #started: ChildTier[] = [];
  #isStopping = false;

  constructor(options: { log: Logger; config: Config; args: readonly string[] }) {
    this.#log = options.log;
    this.#config = options.config;
    this.#args = options.args;
  }

  async start(): Promise<{ edge: Ports; core: Ports }> {
    // Each worker is an edge to the core.
    const readyEdges = Math.max(this.#config.edge.workers, this.#config.http.ready_edges);
    const core = await this.#startOne('core', corePortFlags, [
      '--http-ready-edges',
      String(readyEdges),
    ]);
    const trunk = authority(reachableHost(this.#config.trunk.host), core['trunk']);
    const edge = await this.#startOne('edge', edgePortFlags, ['--edge-cores', trunk]);
    await this.#untilReady(core['http'] ?? 0);
    return { edge, core };
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    for (const tier of this.#started.reverse()) await tier.stop();
  }

  #startOne(
    name: 'edge' | 'core',
    portFlags: ReadonlyMap<string, string>,
    flags: readonly string[],
  ): Promise<Ports> {
    const tier = new ChildTier(
      { log: this.#log },
      { name, args: [...this.#args, ...flags], portFlags },
    );
    this.#started.push(tier);
    return tier.start();
  }

  async #untilReady(httpPort: number): Promise<void> {
    const deadline = performance.now() + readyMsMax;
    let last = 'no answer';
    while (!this.#isStopping && performance.now() < deadline) {
      try {
        const { status, text } = await askReadiness(this.#config.http, httpPort);
        last = `${status} ${text.trim()}`;
        if (status === 200) return;
      } catch (error) {
        last = messageOf(error);
      }
      await new Promise((resolve) => setTimeout(resolve, readyPollMs));
    }
    throw new TrunklineError(
      'unreachable',
      `The core did not become ready within ${readyMsMax / 1000} seconds: /readyz on port ${httpPort} said ${last}.`,
    );
  }
}

/** Ports of both tiers under one set of names. */
function flatPorts(ports: { edge: Ports; core: Ports }): Ports {
  const { http, ...doors } = ports.edge;
  return { ...doors, ...ports.core, edge_http: http ?? 0 };
}

function helpText(): string {
  const sections = new Set(settings().map((setting) => setting.path.split('.')[0] as string));
  return [
    'Usage: trunkline up [flags]',
    '',
    'Runs one edge and one core on this machine until Ctrl-C. edge.cores is set by the command.',
    '',
    'Flags',
    ...flagLines(sections),
    '',
  ].join('\n');
}

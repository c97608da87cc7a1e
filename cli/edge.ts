/**
 * `trunkline edge`: an edge in this process, with its status; or, with more workers than one, the
 * process that supervises them.
 */
import type { Config } from '../base/config.ts';
import { StatusServer } from '../base/status-server.ts';
import type { CommandIo } from './command.ts';
import { EdgeStack } from './edge-stack.ts';
import { type RunningTier, runTier, type TierParts } from './tier.ts';
import { claimWorkerCount } from './workers/worker-count.ts';
import { openWorkers } from './workers/workers.ts';

export function edgeCommand(args: string[], io: CommandIo): Promise<number> {
  return runTier(
    {
      name: 'edge',
      summary: 'Runs an edge: devices connect to it by MQTT; it connects to a core by the trunk.',
      sections: [
        'data',
        'mqtt',
        'mqtts',
        'ws',
        'wss',
        'tls',
        'edge',
        'trunk.token',
        'trunk.canary_seconds',
        'auth',
        'rights',
        'log',
        'limits',
      ],
      open: async (parts, config) => {
        await claimWorkerCount(config);
        return config.edge.workers > 1 ? openWorkers(parts, config, args) : openEdge(parts, config);
      },
    },
    args,
    io,
  );
}

async function openEdge(parts: TierParts, config: Config): Promise<RunningTier> {
  const stack = await EdgeStack.open(parts, config);
  let status: StatusServer | null = null;
  const close = async () => {
    await status?.close();
    await stack.close();
  };
  try {
    status = await StatusServer.open(parts, {
      name: "the edge's status server",
      host: config.edge.http_host,
      port: config.edge.http_port,
      portFlag: 'edge-http-port',
      readiness: () => stack.readiness(),
    });
    await stack.serve();
    return { ports: { ...stack.ports, http: status.port }, close };
  } catch (error) {
    await close();
    throw error;
  }
}

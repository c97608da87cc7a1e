/** `trunkline core`: the fan-out tier as a process. */
import { Core } from '../core/core.ts';
import type { CommandIo } from './command.ts';
import { runTier } from './tier.ts';
import { softwareVersion } from './version.ts';

export function coreCommand(args: string[], io: CommandIo): Promise<number> {
  return runTier(
    {
      name: 'core',
      summary: 'Runs a core: edges connect to it by the trunk, gateways and operators by gRPC.',
      sections: [
        'data',
        'core',
        'nats',
        'trunk',
        'gateway',
        'http',
        'rights',
        'log',
        'limits.packet_bytes',
        'limits.inflight',
        'limits.log_bytes',
        'limits.log_seconds',
        'limits.gateway_devices',
      ],
      drainMs: (config) => config.core.drain_seconds * 1_000,
      open: (parts, config) => Core.open({ ...parts, softwareVersion: softwareVersion() }, config),
    },
    args,
    io,
  );
}

/** Cores as processes that share a log on NATS, and edges of theirs. */
import { corePorts, edgePorts, samePorts } from './fleet.ts';
import { type RunningProcess, startProcess } from './processes.ts';

/** Queues that hold all that a test publishes while a process is away. */
const deepQueues = ['--limits-queue-messages', '200000'];

export interface NatsCoreOptions {
  readonly id: string;
  readonly servers: readonly string[];
  readonly flags?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** `again`: on the data and the ports of one that ran before. */
export function startNatsCore(
  { id, servers, flags = [], env = {} }: NatsCoreOptions,
  again?: RunningProcess,
): Promise<RunningProcess> {
  const all = ['--core-id', id, '--core-backplane', servers.join(','), ...flags];
  if (again === undefined) return startProcess('core', { flags: all, env });
  const same = [...all, ...samePorts(again, corePorts)];
  return startProcess('core', { data: again.data, flags: same, env });
}

/** An edge that may use any of the cores, the first at first when it is the only one in reach. */
export function startEdgeOf(
  cores: readonly RunningProcess[],
  id: string,
  again?: RunningProcess,
): Promise<RunningProcess> {
  const addresses = cores.map((core) => `127.0.0.1:${core.port('trunk')}`).join(',');
  const flags = ['--edge-id', id, '--edge-cores', addresses, ...deepQueues];
  if (again === undefined) return startProcess('edge', { flags });
  const same = [...flags, ...samePorts(again, edgePorts)];
  return startProcess('edge', { data: again.data, flags: same });
}

/** A core and edges as processes, and what tests ask of them. */
import { type RunningProcess, startProcess } from './processes.ts';
import { until } from './until.ts';

export interface Fleet {
  core: RunningProcess;
  readonly edges: RunningProcess[];
}

/** Flags that bind a restarted process to the ports that it had. */
export function samePorts(of: RunningProcess, flags: Readonly<Record<string, string>>): string[] {
  return Object.entries(flags).flatMap(([name, flag]) => [flag, String(of.port(name))]);
}

export const corePorts = { trunk: '--trunk-port', gateway: '--gateway-port', http: '--http-port' };
export const edgePorts = { mqtt: '--mqtt-port', ws: '--ws-port', http: '--edge-http-port' };

/** Queues that hold all that a test publishes while a process is away. */
const deepQueues = ['--limits-queue-messages', '200000'];

/** Starts a core and edges `edge-a`, `edge-b` … and waits until the core has them all. */
export async function startFleet(edgeCount: number): Promise<Fleet> {
  const core = await startProcess('core');
  const edges: RunningProcess[] = [];
  for (let i = 0; i < edgeCount; i++) {
    edges.push(await startEdge(core, `edge-${String.fromCharCode(97 + i)}`));
  }
  await attached(core, edgeCount);
  return { core, edges };
}

/** `again`: on the data and the ports of one that ran before. `trunkPort`: where it finds the core. */
export function startEdge(
  core: RunningProcess,
  id: string,
  again?: RunningProcess,
  trunkPort = core.port('trunk'),
): Promise<RunningProcess> {
  const cores = `127.0.0.1:${trunkPort}`;
  const flags = ['--edge-id', id, '--edge-cores', cores, ...deepQueues];
  if (again === undefined) return startProcess('edge', { flags });
  return startProcess('edge', {
    data: again.data,
    flags: [...flags, ...samePorts(again, edgePorts)],
  });
}

export function restartCore(core: RunningProcess): Promise<RunningProcess> {
  return startProcess('core', { data: core.data, flags: samePorts(core, corePorts) });
}

interface EdgeJson {
  readonly edge_id: string;
  readonly connected: boolean;
  readonly interest_count: number;
}

async function edgesOf(core: RunningProcess): Promise<EdgeJson[]> {
  const response = await fetch(`http://127.0.0.1:${core.port('http')}/v1/edges`);
  const body = (await response.json()) as { edges: EdgeJson[] };
  return body.edges;
}

export async function attached(core: RunningProcess, count: number): Promise<void> {
  const here = async () => (await metric(core, 'trunkline_edges')) === count;
  await until(here, `${count} edges are attached`);
}

/** The core knows that many filters of the edge: what is published from now on reaches it. */
export async function interested(core: RunningProcess, edgeId: string, count: number) {
  await until(async () => {
    const edge = (await edgesOf(core)).find((one) => one.edge_id === edgeId);
    return (edge?.interest_count ?? 0) >= count;
  }, `the core knows ${count} filters of ${edgeId}`);
}

export function urlOf(edge: RunningProcess): string {
  return `mqtt://127.0.0.1:${edge.port('mqtt')}`;
}

/** The value of one sample in a process's metrics, or 0. */
export async function metric(process: RunningProcess, sample: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${process.port('http')}/metrics`)).text();
  const line = text.split('\n').find((one) => one.startsWith(`${sample} `));
  return line === undefined ? 0 : Number(line.slice(sample.length + 1));
}

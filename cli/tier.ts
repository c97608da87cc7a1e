/**
 * Runs one tier as a process: reads the configuration, takes the data folder, opens the tier, says
 * that it is ready, and drains it when it is told to stop. A supervisor that started the process
 * with an IPC channel hears `ready` or `failed`, and its end is a stop, too.
 */
import { type Clock, systemClock } from '../base/clock.ts';
import type { Config } from '../base/config.ts';
import { DataLock } from '../base/data-lock.ts';
import { createLog, type Logger } from '../base/log.ts';
import { Metrics } from '../base/metrics.ts';
import { openProcessMetrics } from '../base/process-metrics.ts';
import { Rights } from '../base/rights/rights.ts';
import type { CommandIo } from './command.ts';
import { configOf, flagLines, parseSettings, type SettingsLine } from './config-flags.ts';
import { routeGrpcLog } from './grpc-log.ts';
import { tellParent, underParent } from './parent-process.ts';
import { RightsWatch } from './rights-watch.ts';
import { StopRequest } from './stop-request.ts';
import { softwareVersion } from './version.ts';

export interface TierParts {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly clock: Clock;
  /** Those in force, which follow the configuration file; without it, those of the configuration. */
  readonly rights?: Rights;
}

/** A tier that is open. */
export interface RunningTier {
  /** Bound ports by name, such as `mqtt`. */
  readonly ports: Readonly<Record<string, number>>;
  /** Rejects when the tier cannot go on; never resolves. */
  readonly failed?: Promise<never>;
  /** Before `close`, when it is to stop: others take over what it does, if they can. */
  drain?(): Promise<void>;
  close(): Promise<void>;
}

export interface TierSpec {
  readonly name: 'edge' | 'core';
  /** First lines of `--help`, and the sections, or single settings, that it uses. */
  readonly summary: string;
  readonly sections: readonly string[];
  /** What `drain` may take. */
  drainMs?(config: Config): number;
  open(parts: TierParts, config: Config): Promise<RunningTier>;
}

export async function runTier(spec: TierSpec, args: string[], io: CommandIo): Promise<number> {
  const line = parseSettings(args);
  if (line.isHelp) {
    io.stdout.write(helpText(spec));
    return 0;
  }
  return underParent(() => serve(spec, line, io));
}

async function serve(spec: TierSpec, line: SettingsLine, io: CommandIo): Promise<number> {
  const config = configOf(line, io.env);
  const log = createLog({ ...config.log, tier: spec.name });
  routeGrpcLog(log);
  process.once('uncaughtException', (error) => {
    log.fatal({ err: error }, 'unexpected error');
    process.exit(1);
  });
  const stop = new StopRequest(log, spec.drainMs?.(config) ?? 0);
  const metrics = new Metrics();
  const opened: { close(): Promise<void> | void }[] = [];
  try {
    opened.push(await DataLock.take(config.data, spec.name));
    opened.push(openProcessMetrics(metrics, { tier: spec.name, version: softwareVersion() }));
    const parts = { log, metrics, clock: systemClock, rights: new Rights(config.rights) };
    const tier = await spec.open(parts, config);
    opened.push(tier);
    const file = line.file ?? io.env['TRUNKLINE_CONFIG'];
    const load = () => configOf(line, io.env);
    const loaded = config.rights;
    if (file !== undefined) opened.push(new RightsWatch(parts, { file, load, loaded }));
    log.info(
      { ...tier.ports, data: config.data, version: softwareVersion() },
      `${spec.name} ready`,
    );
    await tellParent({ event: 'ready', ports: tier.ports });
    const reason = await Promise.race([stop.requested, tier.failed ?? stop.requested]);
    log.info({ reason }, `${spec.name} stopping`);
    await tier.drain?.();
  } finally {
    for (const part of opened.reverse()) await part.close();
    stop.close();
  }
  log.info(`${spec.name} stopped`);
  return 0;
}

function helpText(spec: TierSpec): string {
  return [
    `Usage: trunkline ${spec.name} [flags]`,
    '',
    spec.summary,
    '',
    'Flags',
    ...flagLines(new Set(spec.sections)),
    '',
  ].join('\n');
}

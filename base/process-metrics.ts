/** What every tier shows of its own process: memory, event-loop delay, CPU, start time, build. */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Metrics } from './metrics.ts';

/** The histogram holds the time between two looks, so that an idle loop shows this much. */
const resolutionMs = 10;

export interface ProcessMetrics {
  close(): void;
}

export function openProcessMetrics(
  metrics: Metrics,
  build: { readonly tier: string; readonly version: string },
): ProcessMetrics {
  const delay = monitorEventLoopDelay({ resolution: resolutionMs });
  delay.enable();
  const startedAt = Date.now() / 1000 - process.uptime();
  metrics.gauge('trunkline_build_info', 'Always 1; the labels tell the build.', () => 1, {
    tier: build.tier,
    version: build.version,
    node: process.versions.node,
  });
  metrics.gauge(
    'trunkline_process_start_time_seconds',
    'Start of the process, seconds since the epoch.',
    () => startedAt,
  );
  metrics.gauge('trunkline_process_resident_bytes', 'Resident memory.', () =>
    process.memoryUsage.rss(),
  );
  metrics.gauge(
    'trunkline_process_heap_bytes',
    'JavaScript heap in use.',
    () => process.memoryUsage().heapUsed,
  );
  metrics.gauge('trunkline_process_cpu_seconds', 'CPU time used, user and system.', () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  });
  metrics.gauge(
    'trunkline_event_loop_delay_p99_seconds',
    'How late the event loop ran since the last look, 99th percentile.',
    () => {
      const lateMs = delay.percentile(99) / 1e6 - resolutionMs;
      delay.reset();
      return Math.max(0, lateMs) / 1000;
    },
  );
  return { close: () => void delay.disable() };
}

/** Which cores and how many open files this process may use. Linux only. */
import { readFileSync } from 'node:fs';

export interface Cores {
  readonly broker: number;
  /** The broker's, too, when there is only one. */
  readonly load: number;
}

export function coresOf(status = readFileSync('/proc/self/status', 'utf8')): Cores {
  const list = /^Cpus_allowed_list:\s*(\S+)/m.exec(status)?.[1] ?? '0';
  const [broker = 0, load = broker] = list.split(',').flatMap(span);
  return { broker, load };
}

/** `4` or `0-3`. */
function span(text: string): number[] {
  const [first = 0, last = first] = text.split('-').map(Number);
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

/** The command that runs another on one core, ahead of that command's own words. */
export function pinnedTo(core: number): string[] {
  return ['taskset', '-c', String(core)];
}

/** The hard limit: broker and load generator raise theirs to it. */
export function openFilesMax(limits = readFileSync('/proc/self/limits', 'utf8')): number {
  const hard = /^Max open files\s+\S+\s+(\d+)/m.exec(limits)?.[1];
  return hard === undefined ? Number.MAX_SAFE_INTEGER : Number(hard);
}

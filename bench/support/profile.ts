/** What a CPU profile of Node says: the functions with the most time of their own. */
import { existsSync, readFileSync } from 'node:fs';
import { SourceMap } from 'node:module';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';

interface CallFrame {
  readonly functionName: string;
  readonly url: string;
  readonly lineNumber: number;
  readonly columnNumber: number;
}

interface Profile {
  readonly nodes: readonly { readonly id: number; readonly callFrame: CallFrame }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

export interface HotSpot {
  /** Share of the time in which the process did something. */
  readonly share: number;
  readonly name: string;
  /** Source file and line, or a package's file. */
  readonly place: string;
}

/** Frames of the sampler itself and of waiting, which is not work. */
const waiting = new Set(['(idle)', '(root)']);

export function hotSpots(file: string, count: number): HotSpot[] {
  const profile = JSON.parse(readFileSync(file, 'utf8')) as Profile;
  const frames = new Map(profile.nodes.map((node) => [node.id, node.callFrame]));
  const spent = new Map<string, { frame: CallFrame; time: number }>();
  let total = 0;
  for (const [index, id] of profile.samples.entries()) {
    const frame = frames.get(id);
    if (frame === undefined || waiting.has(frame.functionName)) continue;
    const key = `${frame.functionName} ${frame.url}:${frame.lineNumber}:${frame.columnNumber}`;
    const entry = spent.get(key) ?? { frame, time: 0 };
    const delta = profile.timeDeltas[index] ?? 0;
    entry.time += delta;
    total += delta;
    spent.set(key, entry);
  }
  return [...spent.values()]
    .sort((a, b) => b.time - a.time)
    .slice(0, count)
    .map(({ frame, time }) => ({
      share: time / total,
      name: frame.functionName === '' ? '(anonymous)' : frame.functionName,
      place: placeOf(frame),
    }));
}

function placeOf({ url, lineNumber, columnNumber }: CallFrame): string {
  if (!url.startsWith('file:')) return url;
  const file = fileURLToPath(url);
  const source = sourceOf(file, lineNumber, columnNumber);
  if (source !== null) return source;
  const inPackage = file.lastIndexOf('node_modules/');
  return `${inPackage < 0 ? file : file.slice(inPackage)}:${lineNumber + 1}`;
}

function sourceOf(file: string, line: number, column: number): string | null {
  const map = `${file}.map`;
  if (file.includes('node_modules') || !existsSync(map)) return null;
  const entry = new SourceMap(JSON.parse(readFileSync(map, 'utf8'))).findEntry(line, column);
  if (!('originalSource' in entry)) return null;
  const source = new URL(entry.originalSource, `file://${map}`);
  return `${relative(process.cwd(), fileURLToPath(source))}:${entry.originalLine + 1}`;
}

/**
 * One exposition from those of several processes: families stay together, as Prometheus wants them,
 * and each sample gets a label that says which process it is of.
 */

export interface PartText {
  /** Value of the label `worker`. */
  readonly worker: string;
  readonly text: string;
}

export function mergedMetrics(parts: readonly PartText[]): string {
  const families = new Map<string, string[]>();
  for (const { worker, text } of parts) {
    let family: string[] = [];
    for (const line of text.split('\n')) {
      if (line.startsWith('# HELP ')) family = familyOf(families, line);
      else if (line !== '' && !line.startsWith('#')) family.push(labelled(line, worker));
      else if (family.length === 1 && line !== '') family.push(line);
    }
  }
  return `${[...families.values()].flat().join('\n')}\n`;
}

/** Begins with its HELP line. */
function familyOf(families: Map<string, string[]>, help: string): string[] {
  const name = help.split(' ', 3)[2] as string;
  let family = families.get(name);
  if (family === undefined) {
    family = [help];
    families.set(name, family);
  }
  return family;
}

function labelled(sample: string, worker: string): string {
  const end = sample.search(/[{ ]/);
  const name = sample.slice(0, end);
  const rest = sample.slice(end + 1);
  const label = `worker="${worker}"`;
  return sample[end] === '{' ? `${name}{${label},${rest}` : `${name}{${label}} ${rest}`;
}

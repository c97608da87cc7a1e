/** A process's metrics, to be reckoned with: every sample of a name, with its labels. */
import type { RunningProcess } from './processes.ts';

export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export class MetricsText {
  readonly #samples = new Map<string, Sample[]>();

  constructor(text: string) {
    for (const line of text.split('\n')) {
      const [, name, labels = '', value] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
      if (name === undefined) continue;
      const pairs = [...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, key, text]) => [key, text]);
      const samples = this.#samples.get(name) ?? [];
      samples.push({ labels: Object.fromEntries(pairs), value: Number(value) });
      this.#samples.set(name, samples);
    }
  }

  static async of(process: RunningProcess): Promise<MetricsText> {
    const response = await fetch(`http://127.0.0.1:${process.port('http')}/metrics`);
    return new MetricsText(await response.text());
  }

  /** The sum of all samples that have these labels. */
  sum(name: string, labels: Readonly<Record<string, string>> = {}): number {
    const wanted = Object.entries(labels);
    return (this.#samples.get(name) ?? [])
      .filter((sample) => wanted.every(([key, value]) => sample.labels[key] === value))
      .reduce((total, { value }) => total + value, 0);
  }

  /** The values of one label, each once. */
  valuesOf(name: string, label: string): string[] {
    const values = (this.#samples.get(name) ?? []).map((sample) => sample.labels[label] ?? '');
    return [...new Set(values)].sort();
  }
}

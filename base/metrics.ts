/**
 * Counters, gauges and histograms, and their Prometheus text. Counting is one addition on a plain
 * object, so that the message path can afford it.
 * Source of the format: Prometheus exposition format, version 0.0.4.
 */
import { createHistogram, type RecordableHistogram } from 'node:perf_hooks';

export type Labels = Readonly<Record<string, string>>;

export class Counter {
  value = 0;
  add(by = 1): void {
    this.value += by;
  }
}

/** Counters of one name, told apart by one label. */
export class CounterFamily {
  readonly #counters = new Map<string, Counter>();
  readonly #create: (value: string) => Counter;

  constructor(create: (value: string) => Counter) {
    this.#create = create;
  }

  /** The counter of this label value, made when first asked for. */
  by(value: string): Counter {
    let counter = this.#counters.get(value);
    if (counter === undefined) {
      counter = this.#create(value);
      this.#counters.set(value, counter);
    }
    return counter;
  }

  get sum(): number {
    let sum = 0;
    for (const counter of this.#counters.values()) sum += counter.value;
    return sum;
  }
}

interface Family {
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'summary';
  readonly samples: Map<string, () => string[]>;
}

/** All metrics of one process. Names have the prefix `trunkline_`. */
export class Metrics {
  readonly #families = new Map<string, Family>();

  /** A counter; its name ends in `_total`. */
  counter(name: string, help: string, labels: Labels = {}): Counter {
    const counter = new Counter();
    const suffix = labelText(labels);
    this.#family(name, help, 'counter').samples.set(suffix, () => [
      `${name}${suffix} ${counter.value}`,
    ]);
    return counter;
  }

  /** Counters of one name by the value of one label, such as a reason. */
  counters(name: string, help: string, label: string): CounterFamily {
    return new CounterFamily((value) => this.counter(name, help, { [label]: value }));
  }

  /** A value that is read when asked for. */
  gauge(name: string, help: string, read: () => number, labels: Labels = {}): void {
    const suffix = labelText(labels);
    this.#family(name, help, 'gauge').samples.set(suffix, () => [`${name}${suffix} ${read()}`]);
  }

  /** Durations in microseconds, shown in seconds as p50, p90, p99 with sum and count. */
  latency(name: string, help: string, labels: Labels = {}): Latency {
    const latency = new Latency();
    const suffix = labelText(labels);
    this.#family(name, help, 'summary').samples.set(suffix, () => latency.lines(name, labels));
    return latency;
  }

  /** The whole exposition. */
  text(): string {
    const lines: string[] = [];
    for (const [name, family] of this.#families) {
      lines.push(`# HELP ${name} ${family.help}`, `# TYPE ${name} ${family.type}`);
      for (const sample of family.samples.values()) lines.push(...sample());
    }
    return `${lines.join('\n')}\n`;
  }

  #family(name: string, help: string, type: Family['type']): Family {
    let family = this.#families.get(name);
    if (family === undefined) {
      family = { help, type, samples: new Map() };
      this.#families.set(name, family);
    }
    return family;
  }
}

export class Latency {
  readonly #histogram: RecordableHistogram = createHistogram();
  #sumUs = 0;

  record(us: number): void {
    const whole = Math.max(1, Math.round(us));
    this.#histogram.record(whole);
    this.#sumUs += whole;
  }

  lines(name: string, labels: Labels): string[] {
    const histogram = this.#histogram;
    const lines = [50, 90, 99].map((p) => {
      const seconds = histogram.count === 0 ? 0 : histogram.percentile(p) / 1e6;
      return `${name}${labelText({ ...labels, quantile: String(p / 100) })} ${seconds}`;
    });
    const suffix = labelText(labels);
    return [
      ...lines,
      `${name}_sum${suffix} ${this.#sumUs / 1e6}`,
      `${name}_count${suffix} ${histogram.count}`,
    ];
  }
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([key, value]) => `${key}="${escapeLabel(value)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

function escapeLabel(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

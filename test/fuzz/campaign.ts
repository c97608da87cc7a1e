/**
 * Sends so many fuzzed frames to an edge in a process of its own, and checks what must hold
 * whatever they were: it lives, others are served all the time, nothing is left behind, its log has
 * no error, its memory stays bounded. What it answers to a given frame is not looked at.
 */
import { type RunningProcess, startProcess } from '../support/processes.ts';
import { Random } from '../support/random.ts';
import { Bystander } from './bystander.ts';
import { corpusOf } from './corpus.ts';
import { heldBy, residentBytes, sweep } from './edge-health.ts';
import { drawScript, type Ports, play, type Script } from './fuzz-client.ts';

const clientsAtOnce = 16;

/** After so many frames the clients pause, and what is left of them is looked at. */
const framesBetweenSweeps = 100_000;

/** Above this something is kept that should not be; a run uses a fraction of it. */
const residentBytesMax = 600 * 1024 * 1024;

/** Connections whose bytes are shown when something was found. */
const recentMax = 16;

/** From the last sign of an edge to the news that it has ended. */
const exitMsMax = 1_000;

const flags = [
  ...['--edge-cores', '127.0.0.1:1', '--log-level', 'warn', '--log-format', 'json'],
  ...['--limits-queue-messages', '500', '--limits-packet-bytes', '65536'],
];

export interface CampaignOptions {
  readonly seed: number;
  readonly frames: number;
  readonly onProgress?: (progress: Progress) => void;
  /** Called when the edge runs, for what a check of the campaign itself does to it. */
  readonly onStart?: (edge: RunningProcess) => void;
}

export interface Progress {
  readonly frames: number;
  readonly connections: number;
  readonly exchanged: number;
  readonly slowestExchangeMs: number;
  readonly keptSessions: number;
  readonly residentMib: number;
}

export async function runCampaign(options: CampaignOptions): Promise<Progress> {
  const edge = await startProcess('edge', { flags });
  const campaign = new Campaign(edge, options);
  try {
    return await campaign.run();
  } catch (error) {
    throw new Error(`${(error as Error).message}\n${campaign.report()}`, { cause: error });
  } finally {
    await edge.kill();
  }
}

class Campaign {
  readonly #edge: RunningProcess;
  readonly #options: CampaignOptions;
  readonly #ports: Ports;
  readonly #corpora = [corpusOf(4), corpusOf(5)];
  readonly #recent: Script[] = [];
  #hasExited = false;
  #frames = 0;
  #connections = 0;
  #keptSessions = 0;
  #residentMib = 0;

  constructor(edge: RunningProcess, options: CampaignOptions) {
    this.#edge = edge;
    this.#options = options;
    this.#ports = { mqtt: edge.port('mqtt'), ws: edge.port('ws') };
    void edge.exited.then(() => {
      this.#hasExited = true;
    });
  }

  async run(): Promise<Progress> {
    const bystander = await Bystander.open(this.#ports);
    const before = await heldBy(this.#edge);
    bystander.start();
    this.#options.onStart?.(this.#edge);
    const random = new Random(this.#options.seed);
    const clients = Array.from({ length: clientsAtOnce }, () => random.fork());
    try {
      while (this.#frames < this.#options.frames) {
        const goal = Math.min(this.#options.frames, this.#frames + framesBetweenSweeps);
        await Promise.all(clients.map((one) => this.#client(one, goal)));
        this.#keptSessions += await sweep(this.#edge, before);
        await this.#checkProcess();
        this.#options.onProgress?.(this.#progress(bystander));
      }
      await bystander.stop();
    } catch (error) {
      await this.#failIfEnded();
      throw error;
    }
    return this.#progress(bystander);
  }

  /** For a failure: what to repeat it with, what the edge wrote, what was sent last. */
  report(): string {
    const sent = this.#recent.map(
      ({ isWebSocket, pieces }) =>
        `${isWebSocket ? 'ws ' : 'tcp'} ${pieces.map((one) => one.toString('hex')).join(' ')}`,
    );
    const { seed } = this.#options;
    const { stdout, stderr } = this.#edge;
    const lines = [
      `seed ${seed}, ${this.#frames} frames`,
      stderr.slice(-4_000),
      stdout.slice(-4_000),
    ];
    return [...lines, 'the last connections sent:', ...sent].join('\n');
  }

  async #client(random: Random, goal: number): Promise<void> {
    while (this.#frames < goal && !this.#hasExited) {
      const script = drawScript(random, this.#corpora);
      this.#frames += script.frames;
      this.#connections++;
      this.#recent.push(script);
      if (this.#recent.length > recentMax) this.#recent.shift();
      await play(script, this.#ports, random).catch((error: unknown) => {
        // Of an edge that is gone, that is the finding.
        if (!this.#hasExited) throw error;
      });
    }
  }

  async #checkProcess(): Promise<void> {
    const bytes = await residentBytes(this.#edge);
    this.#residentMib = Math.round(bytes / 1024 / 1024);
    if (bytes > residentBytesMax) throw new Error(`the edge uses ${this.#residentMib} MiB`);
    const bad = badLines(`${this.#edge.stdout}\n${this.#edge.stderr}`);
    if (bad.length > 0) throw new Error(`the edge's log has errors:\n${bad.join('\n')}`);
  }

  /** That the edge has ended explains whatever else was found, and may be heard of a little later. */
  async #failIfEnded(): Promise<void> {
    const stillRuns = new Promise<null>((resolve) => setTimeout(() => resolve(null), exitMsMax));
    const exit = await Promise.race([this.#edge.exited, stillRuns]);
    if (exit !== null) throw new Error(`the edge ended with ${exit.signal ?? exit.code}`);
  }

  #progress(bystander: Bystander): Progress {
    return {
      frames: this.#frames,
      connections: this.#connections,
      exchanged: bystander.exchanged,
      slowestExchangeMs: Math.round(bystander.slowestMs),
      keptSessions: this.#keptSessions,
      residentMib: this.#residentMib,
    };
  }
}

/** Lines of level error, and those that are no log lines: warnings of Node, stacks. */
function badLines(output: string): string[] {
  return output.split('\n').filter((line) => {
    if (line === '') return false;
    try {
      return levelOf(JSON.parse(line)) >= 50;
    } catch {
      return true;
    }
  });
}

const levels = new Map([
  ['warn', 40],
  ['error', 50],
  ['fatal', 60],
]);

function levelOf(entry: { level?: unknown }): number {
  const { level } = entry;
  return typeof level === 'number' ? level : (levels.get(String(level)) ?? 0);
}

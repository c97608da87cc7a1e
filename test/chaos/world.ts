/** A core and two edges as processes, each edge behind a link that can go bad. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { attached, corePorts, edgePorts, metric, samePorts, urlOf } from '../support/fleet.ts';
import { type RunningProcess, startProcess, temporaryFolder } from '../support/processes.ts';
import type { Random } from '../support/random.ts';
import { SmallDisks } from '../support/small-disks.ts';
import { until } from '../support/until.ts';
import { type BadLink, startBadLink } from './bad-link.ts';
import { clockEnvironment } from './clock-jump.ts';

/** Queues and a spool that hold all that is published while somebody is away. */
const deep = ['--limits-queue-messages', '2000000', '--limits-queue-bytes', '2000000000'];

export type Name = 'core' | 'edge-a' | 'edge-b';

interface Member {
  process: RunningProcess;
  readonly clock: string;
  readonly restart: (of: Member) => Promise<RunningProcess>;
}

export class World {
  readonly #members: ReadonlyMap<Name, Member>;
  readonly #disks: SmallDisks;
  readonly links: readonly [BadLink, BadLink];

  private constructor(of: {
    members: ReadonlyMap<Name, Member>;
    disks: SmallDisks;
    links: readonly [BadLink, BadLink];
  }) {
    this.#members = of.members;
    this.#disks = of.disks;
    this.links = of.links;
  }

  static async open(random: Random): Promise<World> {
    const folder = temporaryFolder();
    const clockOf = (name: Name) => join(folder, `${name}.clock`);
    const coreEnv = clockEnvironment(clockOf('core'));
    const disks = await SmallDisks.open();
    const { within } = disks;
    const coreData = await disks.folder();
    const core = await startProcess('core', { data: coreData, env: coreEnv, within });
    const members = new Map<Name, Member>([
      [
        'core',
        {
          process: core,
          clock: clockOf('core'),
          restart: ({ process }) => {
            const flags = samePorts(process, corePorts);
            return startProcess('core', { data: process.data, flags, env: coreEnv, within });
          },
        },
      ],
    ]);
    const links: BadLink[] = [];
    for (const name of ['edge-a', 'edge-b'] as const) {
      const link = await startBadLink(core.port('trunk'), random.fork());
      links.push(link);
      const flags = ['--edge-id', name, '--edge-cores', `127.0.0.1:${link.port}`, ...deep];
      const env = clockEnvironment(clockOf(name));
      const restart = ({ process }: Member) => {
        const same = [...flags, ...samePorts(process, edgePorts)];
        return startProcess('edge', { data: process.data, flags: same, env, within });
      };
      const data = await disks.folder();
      const process = await startProcess('edge', { data, flags, env, within });
      members.set(name, { process, clock: clockOf(name), restart });
    }
    await attached(core, 2);
    const both = links as unknown as readonly [BadLink, BadLink];
    return new World({ members, disks, links: both });
  }

  url(name: Name): string {
    return urlOf(this.#of(name).process);
  }

  /** SIGKILL, and a start on the same data and ports. */
  async kill(...names: Name[]): Promise<void> {
    await Promise.all(names.map((name) => this.#of(name).process.kill()));
    await Promise.all(
      names.map(async (name) => {
        const member = this.#of(name);
        member.process = await member.restart(member);
      }),
    );
  }

  /** SIGTERM instead. */
  async restart(name: Name): Promise<void> {
    const member = this.#of(name);
    await member.process.stop();
    member.process = await member.restart(member);
  }

  signal(name: Name, signal: NodeJS.Signals): void {
    process.kill(this.#of(name).process.pid, signal);
  }

  /** So much more goes onto its disk. */
  async fillDisk(name: Name, bytesLeft: number): Promise<void> {
    await this.#disks.fill(this.#of(name).process.data, bytesLeft);
  }

  async freeDisk(name: Name): Promise<void> {
    await this.#disks.free(this.#of(name).process.data);
  }

  /** Its wall clock is off by so much from now on. */
  moveClock(name: Name, offsetMs: number): void {
    writeFileSync(this.#of(name).clock, String(offsetMs));
  }

  async linksUp(): Promise<void> {
    const isUp = async (name: Name) =>
      (await metric(this.#of(name).process, 'trunkline_link_up')) === 1;
    const all = async () => (await isUp('edge-a')) && (await isUp('edge-b'));
    await until(all, 'both edges have their core', 60_000);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#members.values()].map(({ process }) => process.kill()));
    for (const link of this.links) link.close();
    await this.#disks.close();
  }

  #of(name: Name): Member {
    return this.#members.get(name) as Member;
  }
}

/** What can happen to a world. Each has ended, or is undone, when its promise resolves. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Random } from '../support/random.ts';
import type { BadLink } from './bad-link.ts';
import type { Name, World } from './world.ts';

export interface Fault {
  readonly name: string;
  readonly strike: (world: World, random: Random) => Promise<void>;
}

const names: readonly Name[] = ['core', 'edge-a', 'edge-b'];

/** Longer than a link takes to be found dead. */
const silentMs = 9_000;

function link(world: World, random: Random): BadLink {
  return random.pick(world.links);
}

async function onLink(
  world: World,
  random: Random,
  { spoil, ms }: { spoil: (link: BadLink) => void; ms: number },
): Promise<void> {
  const one = link(world, random);
  spoil(one);
  await pause(ms);
  one.heal();
}

export const faults: readonly Fault[] = [
  ...names.map((name) => ({
    name: `SIGKILL of ${name}`,
    strike: (world: World) => world.kill(name),
  })),
  {
    name: 'SIGKILL of the core and an edge',
    strike: (world, random) => world.kill('core', random.pick(['edge-a', 'edge-b'] as const)),
  },
  { name: 'SIGKILL of all', strike: (world) => world.kill('core', 'edge-a', 'edge-b') },
  { name: 'restart of the core', strike: (world) => world.restart('core') },
  {
    name: 'SIGSTOP for a moment',
    strike: async (world, random) => {
      const name = random.pick(names);
      world.signal(name, 'SIGSTOP');
      await pause(random.between(200, 2_000));
      world.signal(name, 'SIGCONT');
    },
  },
  {
    name: 'SIGSTOP of the core until its links are given up',
    strike: async (world) => {
      world.signal('core', 'SIGSTOP');
      await pause(silentMs);
      world.signal('core', 'SIGCONT');
    },
  },
  {
    name: 'resets of the links',
    strike: async (world, random) => {
      for (let i = random.between(1, 10); i > 0; i--) {
        link(world, random).reset();
        await pause(random.between(0, 150));
      }
    },
  },
  {
    name: 'one direction frozen',
    strike: (world, random) => {
      const direction = random.pick(['up', 'down'] as const);
      const spoil = (one: BadLink) => one.freeze(direction);
      return onLink(world, random, { spoil, ms: random.pick([300, 3_000, silentMs]) });
    },
  },
  {
    name: 'a slow link',
    strike: (world, random) => {
      const spoil = (one: BadLink) => one.delay(random.between(20, 400));
      return onLink(world, random, { spoil, ms: random.between(500, 3_000) });
    },
  },
  {
    name: 'connections cut in the middle of a frame',
    strike: (world, random) => {
      const spoil = (one: BadLink) => one.truncate(random.pick([20, 200, 2_000, 20_000, 200_000]));
      return onLink(world, random, { spoil, ms: random.between(300, 3_000) });
    },
  },
  {
    name: 'a full disk',
    strike: async (world, random) => {
      const name = random.pick(names);
      await world.fillDisk(name, random.pick([0, 4_096, 200_000]));
      await pause(random.between(300, 2_000));
      await world.freeDisk(name);
    },
  },
  {
    name: 'a clock that jumps',
    strike: async (world, random) => {
      const hours = random.pick([-24, -1, 1, 24]);
      world.moveClock(random.pick(names), hours * 3_600_000);
      await pause(random.between(200, 1_000));
    },
  },
];

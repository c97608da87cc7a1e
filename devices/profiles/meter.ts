/** An electricity meter: power and a total that only grows, and the mains' quality now and then. */
import { noise, rounded, trait } from '../noise.ts';
import type { Profile, Reading } from './profile.ts';

const stepsADay = 96;
const hoursAStep = 24 / stepsADay;
const qualityEvery = 20;

export const meter: Profile = {
  name: 'meter',
  reading: (seed, step) =>
    step % qualityEvery === qualityEvery - 1 ? quality(seed, step) : consumption(seed, step),
};

function consumption(seed: number, step: number): Reading {
  const base = trait(seed, 1, { from: 0.15, to: 0.9 });
  const swing = base * 0.8;
  const phase = trait(seed, 2, { from: 0, to: stepsADay });
  const turn = (2 * Math.PI) / stepsADay;
  const angle = (step + phase) * turn;
  const flicker = 0.1 * base * noise(seed, step);
  // The integral of the swing in closed form: the total never falls, since base is above swing.
  const used = base * step - (swing / turn) * (Math.cos(angle) - Math.cos(phase * turn));
  return {
    kind: 'consumption',
    values: {
      power_kw: rounded(base + swing * Math.sin(angle) + flicker, 3),
      energy_kwh: rounded(trait(seed, 3, { from: 500, to: 60_000 }) + used * hoursAStep, 3),
      tariff: noise(seed, 0, 4) < 0.5 ? 'day-night' : 'flat',
    },
  };
}

function quality(seed: number, step: number): Reading {
  return {
    kind: 'quality',
    values: {
      voltage: rounded(230 + 6 * (noise(seed, step, 1) - 0.5), 1),
      frequency: rounded(50 + 0.06 * (noise(seed, step, 2) - 0.5), 3),
      power_factor: rounded(0.9 + 0.09 * noise(seed, step, 3), 3),
    },
  };
}

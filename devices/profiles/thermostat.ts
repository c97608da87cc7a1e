/** A room's thermostat: a reading a minute, and now and then how its battery and radio are. */
import { noise, rounded, trait } from '../noise.ts';
import type { Profile, Reading } from './profile.ts';

const minutesADay = 24 * 60;
const statusEvery = 15;

export const thermostat: Profile = {
  name: 'thermostat',
  reading: (seed, step) =>
    step % statusEvery === statusEvery - 1 ? status(seed, step) : climate(seed, step),
};

function climate(seed: number, step: number): Reading {
  const minute = (step + Math.floor(trait(seed, 1, { from: 0, to: minutesADay }))) % minutesADay;
  const isDay = minute >= 6 * 60 && minute < 22 * 60;
  const target = rounded(trait(seed, 2, { from: 19, to: 23 }) - (isDay ? 0 : 3.5), 1);
  // Outside it is coldest at five in the morning; the room follows weakly.
  const outside = Math.sin(((minute - 11 * 60) / minutesADay) * 2 * Math.PI);
  const swing = Math.sin(step / trait(seed, 3, { from: 5, to: 12 }));
  const temperature = rounded(
    target + 0.3 * outside + 0.4 * swing + 0.1 * (noise(seed, step) - 0.5),
    2,
  );
  return {
    kind: 'climate',
    values: {
      temperature,
      target,
      humidity: rounded(45 - 6 * outside + 3 * (noise(seed, step, 1) - 0.5), 1),
      heating: temperature < target,
    },
  };
}

function status(seed: number, step: number): Reading {
  const drained = step / trait(seed, 4, { from: 8_000, to: 30_000 });
  return {
    kind: 'status',
    values: {
      battery: Math.max(1, Math.round(100 - (drained % 99))),
      rssi: Math.round(trait(seed, 5, { from: -82, to: -48 }) + 4 * (noise(seed, step, 2) - 0.5)),
      firmware: noise(seed, 0, 6) < 0.8 ? '4.2.1' : '4.1.7',
    },
  };
}

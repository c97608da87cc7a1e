/** A vehicle's tracker: its place every few seconds along a round, and the engine now and then. */
import { noise, rounded, trait } from '../noise.ts';
import type { Profile, Reading } from './profile.ts';

const engineEvery = 12;
const secondsAStep = 5;
const metresADegree = 111_320;

export const tracker: Profile = {
  name: 'tracker',
  reading: (seed, step) =>
    step % engineEvery === engineEvery - 1 ? engine(seed, step) : position(seed, step),
};

interface Place {
  readonly latitude: number;
  readonly longitude: number;
}

/** Every vehicle drives an ellipse of its own, so that its place needs no memory of the last one. */
function placeAt(seed: number, step: number): Place {
  const base = {
    latitude: trait(seed, 1, { from: 46.5, to: 53.5 }),
    longitude: trait(seed, 2, { from: 6.5, to: 14.5 }),
  };
  const radius = trait(seed, 3, { from: 1_500, to: 12_000 });
  const metresASecond = trait(seed, 4, { from: 8, to: 24 });
  const angle = (step * secondsAStep * metresASecond) / radius + trait(seed, 5, { from: 0, to: 6 });
  const shrink = Math.cos((base.latitude * Math.PI) / 180);
  return {
    latitude: base.latitude + (radius * Math.sin(angle)) / metresADegree,
    longitude: base.longitude + (0.7 * radius * Math.cos(angle)) / (metresADegree * shrink),
  };
}

function position(seed: number, step: number): Reading {
  const here = placeAt(seed, step);
  const next = placeAt(seed, step + 1);
  const north = (next.latitude - here.latitude) * metresADegree;
  const east =
    (next.longitude - here.longitude) * metresADegree * Math.cos((here.latitude * Math.PI) / 180);
  const heading = (Math.atan2(east, north) * 180) / Math.PI;
  return {
    kind: 'position',
    values: {
      latitude: rounded(here.latitude, 6),
      longitude: rounded(here.longitude, 6),
      speed: rounded((Math.hypot(north, east) / secondsAStep) * 3.6 + noise(seed, step), 1),
      heading: Math.round(heading + 360) % 360,
      satellites: 7 + Math.floor(6 * noise(seed, step, 1)),
    },
  };
}

function engine(seed: number, step: number): Reading {
  return {
    kind: 'engine',
    values: {
      rpm: Math.round(1_300 + 1_400 * noise(seed, step, 2)),
      coolant: rounded(Math.min(92, 20 + step * 0.8) + noise(seed, step, 3), 1),
      fuel: Math.round(100 - ((step / 40 + trait(seed, 6, { from: 0, to: 60 })) % 90)),
      odometer: rounded(
        trait(seed, 7, { from: 4_000, to: 240_000 }) +
          (step * secondsAStep * trait(seed, 4, { from: 8, to: 24 })) / 1000,
        1,
      ),
    },
  };
}

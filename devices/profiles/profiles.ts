/** The kinds of devices by name, and which one a fleet's device is. */
import { meter } from './meter.ts';
import type { Profile } from './profile.ts';
import { thermostat } from './thermostat.ts';
import { tracker } from './tracker.ts';

const all: readonly Profile[] = [thermostat, tracker, meter];

export const fleetMixes = ['thermostat', 'tracker', 'meter', 'mixed'] as const;
export type FleetMix = (typeof fleetMixes)[number];

/** The profiles of a mix, in turn; never empty. */
export function profilesOf(mix: FleetMix): readonly Profile[] {
  return mix === 'mixed' ? all : all.filter((profile) => profile.name === mix);
}

/** The profile of the device at this place of the fleet. */
export function profileAt(mix: FleetMix, index: number): Profile {
  const profiles = profilesOf(mix);
  return profiles[index % profiles.length] as Profile;
}

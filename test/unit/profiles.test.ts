/** What simulated devices say: repeatable, and believable over a long time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Profile, Reading } from '../../devices/profiles/profile.ts';
import { profileAt, profilesOf } from '../../devices/profiles/profiles.ts';
import { nextMessage } from '../../devices/simulated-device.ts';

const seeds = [1, 2, 77, 1_000_003];

function story(profile: Profile, seed: number, steps: number): Reading[] {
  return Array.from({ length: steps }, (_, step) => profile.reading(seed, step));
}

function numbersOf(readings: readonly Reading[], key: string): number[] {
  return readings.flatMap(({ values }) => {
    const value = values[key];
    return typeof value === 'number' ? [value] : [];
  });
}

function isWithin(values: readonly number[], bounds: { from: number; to: number }): void {
  assert.ok(values.length > 0);
  for (const value of values) assert.ok(value >= bounds.from && value <= bounds.to, `${value}`);
}

const [thermostat, tracker, meter] = ['thermostat', 'tracker', 'meter'].map(
  (name) => profilesOf(name as 'meter')[0] as Profile,
) as [Profile, Profile, Profile];

test('the same seed tells the same story, and another seed another', () => {
  for (const profile of profilesOf('mixed')) {
    assert.deepEqual(story(profile, 5, 50), story(profile, 5, 50));
    assert.notDeepEqual(story(profile, 5, 50), story(profile, 6, 50));
  }
});

test('every kind of reading is a topic level and comes again and again', () => {
  for (const profile of profilesOf('mixed')) {
    const kinds = new Map<string, number>();
    for (const { kind } of story(profile, 1, 200)) kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    assert.equal(kinds.size, 2);
    for (const [kind, times] of kinds) {
      assert.match(kind, /^[a-z]+$/);
      assert.ok(times >= 10);
    }
  }
});

test('a thermostat stays in a room people live in, and heats when it is too cold', () => {
  for (const seed of seeds) {
    const readings = story(thermostat, seed, 3_000);
    isWithin(numbersOf(readings, 'temperature'), { from: 14, to: 25 });
    isWithin(numbersOf(readings, 'humidity'), { from: 30, to: 60 });
    isWithin(numbersOf(readings, 'battery'), { from: 1, to: 100 });
    for (const { kind, values } of readings) {
      if (kind !== 'climate') continue;
      assert.equal(values['heating'], Number(values['temperature']) < Number(values['target']));
    }
  }
});

test('a tracker moves as fast as it says and no faster than a vehicle', () => {
  for (const seed of seeds) {
    const places = story(tracker, seed, 12).slice(0, 11);
    isWithin(numbersOf(places, 'speed'), { from: 10, to: 100 });
    isWithin(numbersOf(places, 'heading'), { from: 0, to: 359 });
    const [latitudes, longitudes] = ['latitude', 'longitude'].map((key) => numbersOf(places, key));
    for (let i = 1; i < places.length; i++) {
      const north = (latitudes![i]! - latitudes![i - 1]!) * 111_320;
      const shrink = Math.cos((latitudes![i]! * Math.PI) / 180);
      const east = (longitudes![i]! - longitudes![i - 1]!) * 111_320 * shrink;
      const kmh = (Math.hypot(north, east) / 5) * 3.6;
      assert.ok(Math.abs(kmh - Number(places[i - 1]!.values['speed'])) < 2, `${kmh}`);
    }
  }
});

test("a meter's total never falls and grows with its power", () => {
  for (const seed of seeds) {
    const totals = numbersOf(story(meter, seed, 2_000), 'energy_kwh');
    for (let i = 1; i < totals.length; i++) assert.ok(totals[i]! >= totals[i - 1]!);
    isWithin([totals.at(-1)! - totals[0]!], { from: 50, to: 600 });
    isWithin(numbersOf(story(meter, seed, 2_000), 'power_kw'), { from: 0, to: 2 });
    isWithin(numbersOf(story(meter, seed, 2_000), 'voltage'), { from: 226, to: 234 });
  }
});

test('a mixed fleet has all profiles in turn, another only its own', () => {
  const names = [0, 1, 2, 3].map((index) => profileAt('mixed', index).name);
  assert.deepEqual(names, ['thermostat', 'tracker', 'meter', 'thermostat']);
  assert.deepEqual(
    [0, 1].map((index) => profileAt('meter', index).name),
    ['meter', 'meter'],
  );
});

test('a message carries who sent it, its counter and the reading', () => {
  const { topic, payload } = nextMessage({ id: 'meter-1', profile: meter, seed: 3 }, 1);
  assert.equal(topic, 'fleet/meter/meter-1/consumption');
  const content = JSON.parse(payload);
  assert.equal(content.device, 'meter-1');
  assert.equal(content.n, 1);
  assert.equal(typeof content.power_kw, 'number');
});

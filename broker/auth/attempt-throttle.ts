/**
 * Slows down who guesses: after so many failures from one address, or for one name, the next attempts
 * are refused unseen for a second, then two, four, up to a bound. What has been quiet for twice the
 * bound is forgotten. A name under attack stays open to the addresses that it came from before,
 * or anybody could lock it out.
 *
 * Both tables are bounded: a flood of new keys pushes out the oldest, so what an attacker gains by it
 * is what he had before his first failure.
 */
import { createHash } from 'node:crypto';
import type { Clock } from '../../base/clock.ts';
import type { CounterFamily, Metrics } from '../../base/metrics.ts';

const entriesMax = 20_000;
const waitMsFirst = 1_000;
const nameLengthMax = 64;

export interface Attempt {
  /** Of the client's machine or network. */
  readonly address: string;
  /** Whose credentials are shown. */
  readonly name: string;
}

interface Entry {
  failures: number;
  lastAt: number;
  blockedUntil: number;
}

export interface AttemptThrottleOptions {
  readonly failuresOfName: number;
  readonly failuresOfAddress: number;
  readonly waitMsMax: number;
}

export class AttemptThrottle {
  readonly #clock: Clock;
  readonly #options: AttemptThrottleOptions;
  readonly #addresses = new Map<string, Entry>();
  readonly #names = new Map<string, Entry>();
  /** Where names came from when they were right, the latest last. */
  readonly #homes = new Map<string, string>();
  readonly #refused: CounterFamily;

  constructor(parts: { clock: Clock; metrics: Metrics }, options: AttemptThrottleOptions) {
    this.#clock = parts.clock;
    this.#options = options;
    const { metrics } = parts;
    this.#refused = metrics.counters(
      'trunkline_auth_throttled_total',
      'Attempts to authenticate that were refused unseen after too many failures, by what they shared.',
      'by',
    );
    metrics.gauge(
      'trunkline_auth_throttle_entries',
      'Addresses and names that failures are remembered of.',
      () => this.#addresses.size + this.#names.size,
    );
  }

  /** Whether the attempt is to be refused without a look at it. */
  isBlocked({ address, name }: Attempt): boolean {
    const now = this.#clock.elapsed();
    if (isBlockedIn(this.#addresses, address, now)) {
      this.#refused.by('address').add();
      return true;
    }
    const key = keyOf(name);
    if (!isBlockedIn(this.#names, key, now) || this.#homes.get(key) === address) return false;
    this.#refused.by('name').add();
    return true;
  }

  failed({ address, name }: Attempt): void {
    const { failuresOfName, failuresOfAddress } = this.#options;
    this.#count(this.#addresses, address, failuresOfAddress);
    this.#count(this.#names, keyOf(name), failuresOfName);
  }

  /** The failures of the address stay: one right password must not pay for guessing others. */
  succeeded({ address, name }: Attempt): void {
    const key = keyOf(name);
    this.#names.delete(key);
    if (this.#homes.get(key) === address) return;
    this.#homes.delete(key);
    this.#homes.set(key, address);
    trim(this.#homes);
  }

  #count(table: Map<string, Entry>, key: string, free: number): void {
    const now = this.#clock.elapsed();
    const { waitMsMax } = this.#options;
    const known = table.get(key);
    const isFresh = known !== undefined && now - known.lastAt < 2 * waitMsMax;
    const entry = isFresh ? known : { failures: 0, lastAt: 0, blockedUntil: 0 };
    entry.failures++;
    entry.lastAt = now;
    const doublings = Math.min(entry.failures - free, 30);
    if (doublings >= 0) {
      entry.blockedUntil = now + Math.min(waitMsMax, waitMsFirst * 2 ** doublings);
    }
    table.delete(key);
    table.set(key, entry);
    trim(table);
  }
}

/** A name may have 64 KiB, a remembered one not. */
function keyOf(name: string): string {
  return name.length <= nameLengthMax ? name : createHash('sha256').update(name).digest('base64');
}

function isBlockedIn(table: ReadonlyMap<string, Entry>, key: string, now: number): boolean {
  return (table.get(key)?.blockedUntil ?? 0) > now;
}

function trim(table: Map<string, unknown>): void {
  for (const oldest of table.keys()) {
    if (table.size <= entriesMax) return;
    table.delete(oldest);
  }
}

/** What attempts from one machine or site share: an IPv4 address, or the first half of an IPv6 one. */
export function networkOf(remoteAddress: string): string {
  const address = remoteAddress.slice(0, remoteAddress.lastIndexOf(':'));
  if (address.startsWith('::ffff:') && address.includes('.')) return address.slice(7);
  if (!address.includes(':')) return address;
  const [head = '', tail] = address.split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : 8 - before.length - after.length;
  const groups = [...before, ...Array.from({ length: Math.max(0, zeros) }, () => '0'), ...after];
  return `${groups.slice(0, 4).join(':')}::/64`;
}

/**
 * Rules of rights that change while the process runs: the configuration file is looked at, and when it
 * is another one, its `rights` are in force, without a restart. What cannot be read or is not sound
 * leaves those of before, and is said. Other settings wait for a restart.
 */
import { stat } from 'node:fs/promises';
import type { Clock } from '../base/clock.ts';
import type { Config } from '../base/config.ts';
import { messageOf, TrunklineError } from '../base/errors.ts';
import type { Logger } from '../base/log.ts';
import type { Counter, Metrics } from '../base/metrics.ts';
import type { Rights } from '../base/rights/rights.ts';

/** Rights are to be taken back within two seconds, and a file that is being written is taken when it
 * was the same twice. */
const lookMs = 400;

export interface RightsWatchParts {
  readonly log: Logger;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly rights: Rights;
}

export interface RightsWatchOptions {
  readonly file: string;
  /** The whole configuration as it is now. Throws `config-invalid`. */
  readonly load: () => Config;
  /** As it was loaded. */
  readonly loaded: Config['rights'];
}

export class RightsWatch {
  readonly #parts: RightsWatchParts;
  readonly #options: RightsWatchOptions;
  readonly #faults: Counter;
  readonly #stop: () => void;
  #inForce: string;
  /** Of the file as it was looked at last, and as it was taken or refused last. */
  #seen = '';
  #settled = '';
  #isLooking = false;

  constructor(parts: RightsWatchParts, options: RightsWatchOptions) {
    this.#parts = parts;
    this.#options = options;
    this.#inForce = JSON.stringify(options.loaded);
    this.#faults = parts.metrics.counter(
      'trunkline_rights_faults_total',
      'Changes of the configuration file that were not taken, because it is not sound.',
    );
    this.#stop = parts.clock.every(lookMs, () => {
      if (!this.#isLooking) void this.#look();
    });
  }

  close(): void {
    this.#stop();
  }

  async #look(): Promise<void> {
    this.#isLooking = true;
    try {
      const stamp = await this.#stampNow();
      const isWhole = stamp === this.#seen;
      this.#seen = stamp;
      if (!isWhole || stamp === this.#settled) return;
      this.#settled = stamp;
      this.#take();
    } catch (error) {
      this.#faults.add();
      const fields = { file: this.#options.file, reason: messageOf(error) };
      this.#parts.log.error(fields, 'rights not changed, the configuration is not sound');
    } finally {
      this.#isLooking = false;
    }
  }

  #take(): void {
    const { rights } = this.#options.load();
    const text = JSON.stringify(rights);
    if (text === this.#inForce) return;
    refuseOpening(rights);
    this.#inForce = text;
    this.#parts.rights.replace(rights);
    const { rule, role } = rights;
    this.#parts.log.info({ rules: rule.length, roles: role.length }, 'rights of the file in force');
  }

  /** Editors write another file and rename it. */
  async #stampNow(): Promise<string> {
    try {
      const { ino, mtimeMs, size } = await stat(this.#options.file);
      return `${ino} ${mtimeMs} ${size}`;
    } catch {
      return 'absent';
    }
  }
}

/** A file that was emptied by mistake must not open everything to everybody. */
function refuseOpening({ rule, role }: Config['rights']): void {
  if (rule.length > 0 || role.length > 0) return;
  throw new TrunklineError(
    'config-invalid',
    'Configuration: rights has no rule and no role any more, which would let every device do everything; restart to have it so.',
  );
}

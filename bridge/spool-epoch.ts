/**
 * The spool's identity, in a file beside its segments: made with the folder, because sequences start
 * anew with a new one, and made anew when the folder turns out to be an old copy. The file is
 * replaced as a whole: a crash leaves the old name or the new one, never half of one.
 */
import { randomUUID } from 'node:crypto';
import { open, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { systemCode } from '../base/errors.ts';

export class SpoolEpoch {
  readonly #directory: string;
  #value: string;

  private constructor(directory: string, value: string) {
    this.#directory = directory;
    this.#value = value;
  }

  /** Throws what the file system throws, but for a file that is not there. */
  static async open(directory: string): Promise<SpoolEpoch> {
    const epoch = new SpoolEpoch(directory, await valueIn(directory));
    if (epoch.value === '') await epoch.renew();
    return epoch;
  }

  get value(): string {
    return this.#value;
  }

  /** Durable when it resolves. */
  async renew(): Promise<void> {
    const value = randomUUID();
    const file = join(this.#directory, 'epoch');
    const handle = await open(`${file}.new`, 'w');
    try {
      await handle.writeFile(value);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(`${file}.new`, file);
    const folder = await open(this.#directory, 'r');
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
    this.#value = value;
  }
}

async function valueIn(directory: string): Promise<string> {
  try {
    return (await readFile(join(directory, 'epoch'), 'utf8')).trim();
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return '';
    throw error;
  }
}

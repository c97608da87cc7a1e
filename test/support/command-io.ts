/** Streams for a command under test, whose text can be read and awaited. */
import { Writable } from 'node:stream';
import type { CommandIo } from '../../cli/command.ts';

export class TextStream extends Writable {
  text = '';
  readonly #waiting = new Set<() => void>();

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.text += chunk.toString();
    for (const check of [...this.#waiting]) check();
    done();
  }

  get lines(): string[] {
    return this.text.split('\n').filter((line) => line !== '');
  }

  /** Resolves once the text matches. */
  async expect(pattern: RegExp, withinMs = 10_000): Promise<void> {
    if (pattern.test(this.text)) return;
    await new Promise<void>((resolve, reject) => {
      const guard = setTimeout(() => {
        this.#waiting.delete(check);
        reject(new Error(`no ${pattern} in ${JSON.stringify(this.text)}`));
      }, withinMs);
      const check = () => {
        if (!pattern.test(this.text)) return;
        clearTimeout(guard);
        this.#waiting.delete(check);
        resolve();
      };
      this.#waiting.add(check);
    });
  }
}

export interface TestIo extends CommandIo {
  readonly stdout: TextStream;
  readonly stderr: TextStream;
}

export function testIo(): TestIo {
  return { stdout: new TextStream(), stderr: new TextStream(), env: process.env };
}

/** A load generator that runs until it is told to end, and answers each word with a line of JSON. */
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { startDialogue, stopChild } from '../support/children.ts';

export class Dialogue {
  readonly pid: number;
  readonly #child: ReturnType<typeof startDialogue>;
  readonly #lines: AsyncIterator<string>;
  readonly #ended: Promise<unknown>;
  #complaint = '';

  constructor([file, ...args]: readonly [string, ...string[]]) {
    this.#child = startDialogue(file, args);
    this.pid = this.#child.pid as number;
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
    this.#child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#complaint += text;
    });
    // Its end shows in what it has not answered.
    this.#child.stdin.on('error', () => {});
    this.#ended = once(this.#child, 'close').catch(() => {});
  }

  /** Its next line; rejects with what it complained of when it ends instead. */
  async answer<T>(): Promise<T> {
    const line = await this.#lines.next();
    if (line.done !== true) return JSON.parse(line.value) as T;
    await this.#ended;
    throw new Error(this.#complaint.trim() || 'The load generator ended without an answer.');
  }

  ask<T>(word: string): Promise<T> {
    this.tell(word);
    return this.answer();
  }

  tell(word: string): void {
    this.#child.stdin.write(word);
  }

  async close(): Promise<void> {
    await stopChild(this.#child);
  }
}

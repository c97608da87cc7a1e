/**
 * The texts of one column, each once, under a number. Numbers are given out again when nobody uses
 * a text any more. A table of numbers, not a `Map`: of a million texts it takes a third of the
 * memory, and growing it does not stop the process for a tenth of a second.
 */
import { pairsOf } from './letter-pairs.ts';

const free = -1;
const slotsMin = 64;
const charactersMax = 127;

export class StringPool {
  readonly #texts: string[] = [];
  #hashes = new Int32Array(slotsMin);
  #uses = new Uint32Array(slotsMin);
  #pairs = new Int32Array(slotsMin);
  readonly #spare: number[] = [];
  /** Numbers by hash, with steps of one; a number or `free`. At most half full. */
  #slots = new Int32Array(slotsMin).fill(free);
  #count = 0;
  /** Counts up when a number begins to mean another text. */
  generation = 0;
  /** By character code: whether some text has it, or had it. The last one stands for all above. */
  readonly #characters = new Uint8Array(charactersMax + 1);
  #ranks: { readonly generation: number; readonly ranks: Float64Array } | null = null;

  /** Distinct texts. */
  get size(): number {
    return this.#count;
  }

  /** Numbers are below this. */
  get codeEnd(): number {
    return this.#texts.length;
  }

  text(code: number): string {
    return this.#texts[code] as string;
  }

  /** By number, the pairs of letters of each text. */
  get pairs(): Int32Array {
    return this.#pairs;
  }

  /** The number of a text; -1 when nobody uses it. */
  find(text: string): number {
    return this.#slots[this.#slotOf(text, hashOf(text))] as number;
  }

  /** The number of a text, one use more. */
  obtain(text: string): number {
    const hash = hashOf(text);
    let slot = this.#slotOf(text, hash);
    let code = this.#slots[slot] as number;
    if (code === free) {
      if ((this.#count + 1) * 2 > this.#slots.length) {
        this.#grow();
        slot = this.#slotOf(text, hash);
      }
      code = this.#add(text, hash);
      this.#slots[slot] = code;
    }
    this.#uses[code] = (this.#uses[code] as number) + 1;
    return code;
  }

  /** One use less. */
  release(code: number): void {
    const uses = (this.#uses[code] as number) - 1;
    this.#uses[code] = uses;
    if (uses > 0) return;
    this.#close(this.#slotOf(this.text(code), this.#hashes[code] as number));
    this.#texts[code] = '';
    this.#spare.push(code);
    this.#count--;
  }

  /** False when no text has a capital, so that none need be made small to be compared. */
  get hasCapitals(): boolean {
    // Letters beyond ASCII have capitals of their own.
    return this.#characters[charactersMax] === 1 || this.#characters.subarray(65, 91).includes(1);
  }

  /** False when some character of these parts is in no text, small or as a capital. */
  mayHave(parts: readonly string[]): boolean {
    if (this.#characters[charactersMax] === 1) return true;
    const isKnown = (character: string) =>
      this.#characters[Math.min(charactersMax, character.charCodeAt(0))] === 1;
    return parts.every((part) =>
      [...part].every((one) => isKnown(one.toLowerCase()) || isKnown(one.toUpperCase())),
    );
  }

  /** The place of each text in the order of all; kept until texts come or go. */
  ranks(): Float64Array {
    if (this.#ranks?.generation === this.generation) return this.#ranks.ranks;
    const codes = Array.from(this.#texts.keys());
    codes.sort((a, b) => compareTexts(this.text(a), this.text(b)));
    const ranks = new Float64Array(codes.length);
    for (const [rank, code] of codes.entries()) ranks[code] = rank;
    this.#ranks = { generation: this.generation, ranks };
    return ranks;
  }

  #add(text: string, hash: number): number {
    const code = this.#spare.pop() ?? this.#texts.length;
    if (code >= this.#hashes.length) {
      this.#hashes = grown(this.#hashes, Int32Array);
      this.#uses = grown(this.#uses, Uint32Array);
      this.#pairs = grown(this.#pairs, Int32Array);
    }
    this.#texts[code] = text;
    this.#hashes[code] = hash;
    this.#pairs[code] = pairsOf(text);
    for (let i = 0; i < text.length; i++) {
      this.#characters[Math.min(charactersMax, text.charCodeAt(i))] = 1;
    }
    this.#uses[code] = 0;
    this.#count++;
    this.generation++;
    return code;
  }

  /** Where the text is, or where it would be. */
  #slotOf(text: string, hash: number): number {
    const mask = this.#slots.length - 1;
    let slot = hash & mask;
    for (;;) {
      const code = this.#slots[slot] as number;
      if (code === free) return slot;
      if (this.#hashes[code] === hash && this.#texts[code] === text) return slot;
      slot = (slot + 1) & mask;
    }
  }

  /** Frees a slot, and moves up what was put behind it for want of room. */
  #close(slot: number): void {
    const mask = this.#slots.length - 1;
    let hole = slot;
    for (let next = (hole + 1) & mask; ; next = (next + 1) & mask) {
      const code = this.#slots[next] as number;
      if (code === free) break;
      const home = (this.#hashes[code] as number) & mask;
      if (((next - home) & mask) < ((next - hole) & mask)) continue;
      this.#slots[hole] = code;
      hole = next;
    }
    this.#slots[hole] = free;
  }

  #grow(): void {
    const old = this.#slots;
    this.#slots = new Int32Array(old.length * 2).fill(free);
    const mask = this.#slots.length - 1;
    for (const code of old) {
      if (code === free) continue;
      let slot = (this.#hashes[code] as number) & mask;
      while (this.#slots[slot] !== free) slot = (slot + 1) & mask;
      this.#slots[slot] = code;
    }
  }
}

/** By code units, as `<` has it; the same whatever language the machine speaks. */
export function compareTexts(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function hashOf(text: string): number {
  let hash = text.length;
  for (let i = 0; i < text.length; i++) hash = (Math.imul(hash, 31) + text.charCodeAt(i)) | 0;
  // Names that differ in their last digits alone must not lie side by side.
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return hash ^ (hash >>> 13);
}

function grown<A extends Int32Array | Uint32Array>(from: A, type: new (length: number) => A): A {
  const larger = new type(from.length * 2);
  larger.set(from);
  return larger;
}

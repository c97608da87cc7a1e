/**
 * Columns in pieces of equal length: they grow without being copied, and a scan takes a piece at a
 * time. All numbers are of one type, and all codes: loops over them stay fast for every column.
 */
import { pairsOf } from './letter-pairs.ts';
import { StringPool } from './string-pool.ts';

const chunkBits = 14;
/** Rows of a piece. */
export const chunkRows = 1 << chunkBits;
const chunkMask = chunkRows - 1;

/** Of all columns that have nothing but zeros yet; never written to. */
const zeros = new Float64Array(chunkRows);

export class NumberColumn {
  readonly chunks: Float64Array[] = [];

  get(row: number): number {
    return (this.chunks[row >>> chunkBits] as Float64Array)[row & chunkMask] as number;
  }

  set(row: number, value: number): void {
    const index = row >>> chunkBits;
    let chunk = this.chunks[index] as Float64Array;
    if (chunk === zeros) {
      if (value === 0) return;
      chunk = new Float64Array(chunkRows);
      this.chunks[index] = chunk;
    }
    chunk[row & chunkMask] = value;
  }

  grow(): void {
    this.chunks.push(zeros);
  }
}

/** Texts by the numbers that a pool has for them. */
export class TextColumn {
  readonly chunks: Uint32Array[] = [];
  readonly pool = new StringPool();

  code(row: number): number {
    return (this.chunks[row >>> chunkBits] as Uint32Array)[row & chunkMask] as number;
  }

  get(row: number): string {
    return this.pool.text(this.code(row));
  }

  /** Of a row that has no text yet. */
  begin(row: number, text: string): void {
    (this.chunks[row >>> chunkBits] as Uint32Array)[row & chunkMask] = this.pool.obtain(text);
  }

  /** True when it is another text than before. */
  set(row: number, text: string): boolean {
    const before = this.code(row);
    if (this.pool.text(before) === text) return false;
    (this.chunks[row >>> chunkBits] as Uint32Array)[row & chunkMask] = this.pool.obtain(text);
    this.pool.release(before);
    return true;
  }

  end(row: number): void {
    this.pool.release(this.code(row));
  }

  grow(): void {
    this.chunks.push(new Uint32Array(chunkRows));
  }
}

/** Several texts of a row in one, a line each: most rows have none or few. */
export class ListColumn {
  readonly chunks: string[][] = [];
  /** Pairs of letters of each row. */
  readonly pairs: Int32Array[] = [];

  get(row: number): string {
    return (this.chunks[row >>> chunkBits] as string[])[row & chunkMask] as string;
  }

  set(row: number, lines: string): void {
    (this.chunks[row >>> chunkBits] as string[])[row & chunkMask] = lines;
    (this.pairs[row >>> chunkBits] as Int32Array)[row & chunkMask] = pairsOf(lines);
  }

  grow(): void {
    this.chunks.push(new Array<string>(chunkRows).fill(''));
    this.pairs.push(new Int32Array(chunkRows));
  }
}

/** Which rows something holds for, a byte each. */
export class MarkColumn {
  readonly chunks: Uint8Array[] = [];

  get(row: number): number {
    return (this.chunks[row >>> chunkBits] as Uint8Array)[row & chunkMask] as number;
  }

  set(row: number, mark: number): void {
    (this.chunks[row >>> chunkBits] as Uint8Array)[row & chunkMask] = mark;
  }

  grow(): void {
    this.chunks.push(new Uint8Array(chunkRows));
  }
}

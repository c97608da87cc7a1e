/** Rows in aligned columns, as people read them on a terminal. */

export interface Column<T> {
  readonly title: string;
  readonly isNumber?: boolean;
  readonly of: (row: T) => string;
}

/** The line of titles, then one for each row. */
export function tableLines<T>(columns: readonly Column<T>[], rows: readonly T[]): string[] {
  const cells = [
    columns.map(({ title }) => title),
    ...rows.map((row) => columns.map((c) => c.of(row))),
  ];
  const widths = columns.map((_, index) =>
    cells.reduce((width, row) => Math.max(width, widthOf(row[index] ?? '')), 0),
  );
  return cells.map((row) =>
    row
      .map((cell, index) => padded(cell, widths[index] ?? 0, columns[index]?.isNumber === true))
      .join('  ')
      .trimEnd(),
  );
}

/** A device chooses its names, and must not be able to move the reader's cursor. */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (character) => {
    return `\\u${character.codePointAt(0)?.toString(16).padStart(4, '0')}`;
  });
}

/** In characters, not in UTF-16 units. */
function widthOf(text: string): number {
  return [...text].length;
}

function padded(cell: string, width: number, isNumber: boolean): string {
  const space = ' '.repeat(Math.max(0, width - widthOf(cell)));
  return isNumber ? space + cell : cell + space;
}

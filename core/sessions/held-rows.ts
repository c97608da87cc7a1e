/** The rows of one holder: a scan, because a list for each would take more memory than it saves time. */
import type { SessionTable } from './session-table.ts';

export function heldRows({ holder, rowEnd }: SessionTable, number: number): number[] {
  const rows: number[] = [];
  for (let row = 0; row < rowEnd; row++) if (holder.get(row) === number) rows.push(row);
  return rows;
}

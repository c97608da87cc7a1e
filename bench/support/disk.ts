/** How long the disk takes to make a small write durable: QoS 1 waits for that twice on its way. */
import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { removeFolder, temporaryFolder } from './children.ts';
import { median } from './table.ts';

const writes = 100;
const writeBytes = 4096;

export function medianSyncMs(parent?: string): number {
  const folder = temporaryFolder(parent);
  const file = openSync(join(folder, 'sync'), 'w');
  try {
    const block = Buffer.alloc(writeBytes);
    const took = Array.from({ length: writes }, () => {
      writeSync(file, block);
      const start = performance.now();
      fdatasyncSync(file);
      return performance.now() - start;
    });
    return median(took);
  } finally {
    closeSync(file);
    removeFolder(folder);
  }
}

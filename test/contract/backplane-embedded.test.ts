/** The contract of backplanes, kept by SQLite. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EmbeddedBackplane } from '../../core/backplane/embedded.ts';
import { common } from '../support/trunk-world.ts';
import { backplaneContract } from './backplane-contract.ts';

backplaneContract('embedded', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'trunkline-'));
  return {
    open: () => EmbeddedBackplane.open(common(), { file: join(folder, 'log.db') }),
    end: () => rm(folder, { recursive: true, force: true }),
  };
});

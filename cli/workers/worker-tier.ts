/**
 * One worker as a tier: an edge whose connections come from the process that supervises it, and
 * whose health is shown there.
 */
import { rmdir } from 'node:fs/promises';
import { EdgeStack } from '../edge-stack.ts';
import type { TierSpec } from '../tier.ts';
import { assignedClientIdOf } from './owner.ts';
import type { PrimaryLine } from './primary-line.ts';
import { WorkerDoors } from './worker-doors.ts';

export function workerTier(line: PrimaryLine): TierSpec {
  return {
    name: 'edge',
    summary: 'A worker of an edge; `trunkline edge --workers N` starts it.',
    sections: [],
    open: async (parts, config) => {
      const charge = await line.charge;
      const log = parts.log.child({ worker: charge.worker });
      const { worker, workers } = charge;
      const assignClientId = () => assignedClientIdOf(worker, workers);
      // One of them has the bridges of all: what the others take comes to it through the core.
      const foreign = worker === 1 ? config.edge.foreign : [];
      const own = { ...config, edge: { ...config.edge, foreign } };
      const stack = await EdgeStack.open({ ...parts, log, assignClientId }, own);
      try {
        await stack.serve(async (_log, options) => {
          const doors = await WorkerDoors.open({ log, metrics: parts.metrics }, charge, options);
          line.attach({
            arrived: (handed) => doors.take(handed),
            report: () => ({
              metrics: parts.metrics.text(),
              reasons: stack.readiness().reasons,
            }),
          });
          return doors;
        });
      } catch (error) {
        await stack.close();
        throw error;
      }
      const close = async () => {
        line.detach();
        await stack.close();
        // Without a supervisor the last one to leave removes it.
        if (!process.connected) await rmdir(charge.folder).catch(() => {});
      };
      return { ports: {}, close };
    },
  };
}

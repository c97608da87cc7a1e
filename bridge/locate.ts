/** Answers the core how far a publication has come that entered here. */
import { type Locate, type Located, Located_Stage } from '../proto/gen/trunkline/v1/trunk.ts';
import type { UplinkLog } from './ports.ts';

const stages = {
  spooled: Located_Stage.SPOOLED,
  sent: Located_Stage.SENT,
  acknowledged: Located_Stage.ACKNOWLEDGED,
} as const;

/** Topic and time are told while the spool still has it. Rejects when the spool cannot be read. */
export async function locate(
  spool: UplinkLog,
  { epoch, lane, sequence }: Locate,
): Promise<Located> {
  const unknown = { stage: Located_Stage.UNKNOWN, topic: '', acceptedAtMs: 0, epoch: spool.epoch };
  const isPresent = epoch === '' || epoch === spool.epoch;
  const stage = isPresent ? spool.stageOf(lane, sequence) : null;
  if (stage === null) return unknown;
  const none = { ...unknown, stage: stages[stage] };
  if (sequence < spool.oldestOf(lane)) return none;
  for await (const records of spool.readLane(lane, sequence)) {
    const found = records.find(({ laneSequence }) => laneSequence === sequence);
    if (found === undefined) break;
    const { topic, acceptedAt } = found.publication;
    return { ...none, topic, acceptedAtMs: acceptedAt };
  }
  return none;
}

/** What names a publication across the fleet: the edge where it entered, its lane there and its place. */
import { TrunklineError } from '../../base/errors.ts';
import { uplinkLanesMax } from '../../base/limits.ts';

export interface MessageId {
  readonly edgeId: string;
  readonly lane: number;
  readonly sequence: number;
  /** Of the edge's spool; empty for the present one. */
  readonly epoch: string;
}

const form = /^([A-Za-z0-9._-]{1,64})\/(\d{1,2})\/(\d{1,15})(?:\/([\x21-\x7e]{1,64}))?$/;

/** Throws `query-invalid`. */
export function parseMessageId(text: string): MessageId {
  const [, edgeId = '', lane = '', sequence = '', epoch = ''] = form.exec(text) ?? [];
  const id = { edgeId, lane: Number(lane), sequence: Number(sequence), epoch };
  if (edgeId !== '' && id.lane < uplinkLanesMax && id.sequence > 0) return id;
  const given = JSON.stringify(text.slice(0, 200));
  throw new TrunklineError(
    'query-invalid',
    `message_id is ${given}; give EDGE/LANE/SEQUENCE, such as edge-1/2/1807, with lanes below ${uplinkLanesMax} and sequences from 1.`,
  );
}

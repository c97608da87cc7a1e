/** The flags column: one byte for each publication, bits 0-1 QoS, bit 2 retain. */
import type { Publication } from '../base/publication.ts';

export const retainBit = 0x04;

export function flagsOf({ qos, retain }: Publication): number {
  return retain ? qos | retainBit : qos;
}

/** Why something is refused, in words that go on from its name: "up/m-1 is allowed by no rule". */
import type { Decision } from './grants.ts';

export function refusalText({ reason, rule }: Decision): string {
  switch (reason) {
    case 'reserved':
      return "starts with '$', which is for the fleet itself";
    case 'denied':
      return `is denied by the rule ${rule}`;
    case 'no-rule':
      return 'is allowed by no rule';
    default:
      return `is not allowed with this ${reason} by the rule ${rule}`;
  }
}

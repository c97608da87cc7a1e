/** Client identifiers of sessions within the process, which no device can take. */
export const innerClientPrefix = '$trunkline/';

export function isInnerClient(clientId: string): boolean {
  return clientId.startsWith(innerClientPrefix);
}

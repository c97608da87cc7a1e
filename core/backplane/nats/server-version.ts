/** Which nats-server may be used: what is too old, and what is known to lose acknowledged messages. */

const oldest = [2, 9, 0] as const;

/** 2.10.20 to 2.10.22 could lose a stream when a server crashed; the ones before had other losses. */
const refusedFrom = [2, 10, 0] as const;
const refusedBefore = [2, 10, 23] as const;

/** Null for one that may be used; else a sentence. */
export function versionFault(version: string): string | null {
  const parts = version.split(/[.-]/, 3).map(Number);
  if (parts.length < 3 || parts.some(Number.isNaN)) {
    return `The server at core.backplane calls itself version "${version}", which is none of nats-server. Check the address.`;
  }
  if (isBefore(parts, oldest)) {
    return `nats-server ${version} is too old: 2.9.0 is the oldest that works, 2.12.12 or later is advised. Upgrade the servers.`;
  }
  if (!isBefore(parts, refusedFrom) && isBefore(parts, refusedBefore)) {
    return `nats-server ${version} can lose acknowledged messages when a server crashes; it was put right in 2.10.23. Upgrade the servers, best to 2.12.12 or later.`;
  }
  return null;
}

function isBefore(version: readonly number[], bound: readonly number[]): boolean {
  for (const [i, part] of bound.entries()) {
    const own = version[i] ?? 0;
    if (own !== part) return own < part;
  }
  return false;
}

/**
 * Who a client has proved to be, whatever the proof was: what rights, quotas and sessions are asked
 * of. Immutable; a new proof is a new identity.
 */

export interface Identity {
  /** What the credential names: of a user its name, of a certificate or token its subject. */
  readonly name: string;
  /** What sessions belong to. Of an anonymous client what it says of itself, perhaps nothing. */
  readonly username: string;
  /** Empty for the one that needs no name. */
  readonly tenant: string;
  readonly roles: readonly string[];
  readonly labels: ReadonlyMap<string, string>;
  /** How it was proved: "password", "certificate", "jwt", "http", "none" and so on. */
  readonly method: string;
  /** Milliseconds since the epoch at which the proof is worth nothing any more; 0 for never. */
  readonly expiresAt: number;
}

const noLabels: ReadonlyMap<string, string> = new Map();
const noRoles: readonly string[] = [];

/** An identity of which only this is known. */
export function plainIdentity(known: {
  readonly name: string;
  readonly method: string;
  readonly username?: string;
  readonly tenant?: string;
  readonly roles?: readonly string[];
  readonly labels?: ReadonlyMap<string, string>;
  readonly expiresAt?: number;
}): Identity {
  const { name, method, username = name, tenant = '', expiresAt = 0 } = known;
  const { roles = noRoles, labels = noLabels } = known;
  return { name, username, tenant, roles, labels, method, expiresAt };
}

/** A device of the registry, as its core keeps it and edges know it. */
import type { SecretHash } from './secret-hash.ts';

export interface RegisteredDevice {
  /** Also its user name and its client identifier. */
  readonly name: string;
  readonly roles: readonly string[];
  readonly labels: ReadonlyMap<string, string>;
  readonly isDisabled: boolean;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  /** Counts up with each secret. */
  readonly credentialVersion: number;
  readonly secret: SecretHash;
}

/** The devices that an edge knows. */
export interface KnownDevices {
  find(name: string): RegisteredDevice | undefined;
  /** Calls with the names that are others now, or gone. */
  onChanged(listener: (names: readonly string[]) => void): void;
}

/** For a row. */
export function deviceText(device: RegisteredDevice): string {
  const { labels, secret, ...rest } = device;
  const [salt, hash] = [secret.salt.toString('base64'), secret.hash.toString('base64')];
  return JSON.stringify({ ...rest, labels: [...labels], salt, hash });
}

export function deviceFromText(text: string): RegisteredDevice {
  const { labels, salt, hash, ...rest } = JSON.parse(text);
  const secret = { salt: Buffer.from(salt, 'base64'), hash: Buffer.from(hash, 'base64') };
  return { ...rest, labels: new Map(labels), secret };
}

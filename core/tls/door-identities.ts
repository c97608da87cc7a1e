/** What the core's doors show as their certificates, and whom they let in by theirs. */
import type { Config } from '../../base/config.ts';
import { setTlsFloor } from '../../base/tls/tls-floor.ts';
import { TlsIdentity, type TlsIdentityParts } from '../../base/tls/tls-identity.ts';

/** Null for a door that speaks no TLS. */
export interface DoorIdentities {
  readonly trunk: TlsIdentity | null;
  readonly gateway: TlsIdentity | null;
  readonly http: TlsIdentity | null;
  close(): Promise<void>;
}

/** Throws `tls-unreadable`. */
export async function openDoorIdentities(
  parts: TlsIdentityParts,
  config: Config,
): Promise<DoorIdentities> {
  setTlsFloor(config);
  const opened: TlsIdentity[] = [];
  const close = async () => {
    await Promise.all(opened.splice(0).map((identity) => identity.close()));
  };
  const open = async (section: 'trunk' | 'gateway' | 'http') => {
    const { tls_cert: cert, tls_key: key } = config[section];
    if (cert === '' && key === '') return null;
    const ca = section === 'http' ? '' : config[section].tls_ca;
    const options = { section, prefix: `${section}.tls_`, cert, key, ca };
    const identity = await TlsIdentity.open(parts, options);
    opened.push(identity);
    return identity;
  };
  try {
    const [trunk, gateway] = [await open('trunk'), await open('gateway')];
    return { trunk, gateway, http: await open('http'), close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** What devices are shown over TLS, and whose certificates of theirs count. */
import type { Config } from '../base/config.ts';
import { TlsIdentity, type TlsIdentityParts } from '../base/tls/tls-identity.ts';

/** Null where devices have no TLS. Throws `tls-unreadable`. */
export async function openDeviceTls(
  parts: TlsIdentityParts,
  { tls: { ca, cert, crl, key } }: Pick<Config, 'tls'>,
): Promise<TlsIdentity | null> {
  if (cert === '' && key === '') return null;
  const files = { ca, cert, crl, key };
  return await TlsIdentity.open(parts, { ...files, section: 'devices', prefix: 'tls.' });
}

/** The lowest version of TLS, for every door and every client of the process. */
import tls from 'node:tls';
import type { Config } from '../config.ts';

export function setTlsFloor({ tls: { min_version: version } }: Pick<Config, 'tls'>): void {
  tls.DEFAULT_MIN_VERSION = version === '1.2' ? 'TLSv1.2' : 'TLSv1.3';
}

/** Asks a core of this machine whether it is ready, over HTTP or, with its own certificate, HTTPS. */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { get } from 'node:http';
import { get as getSecure } from 'node:https';
import type { TLSSocket } from 'node:tls';
import type { Config } from '../base/config.ts';
import { authority, reachableHost } from './banner.ts';

const answerMs = 30_000;

export interface ReadinessAnswer {
  readonly url: string;
  readonly status: number;
  readonly text: string;
}

/** Rejects when nobody answers, or somebody else than a core with the certificate in `http`. */
export function askReadiness(
  http: Pick<Config['http'], 'host' | 'tls_cert'>,
  port: number,
): Promise<ReadinessAnswer> {
  const isSecure = http.tls_cert !== '';
  const url = `http${isSecure ? 's' : ''}://${authority(reachableHost(http.host), port)}/readyz`;
  const options = { signal: AbortSignal.timeout(answerMs), agent: false } as const;
  return new Promise((resolve, reject) => {
    const call = isSecure
      ? // Not checked by authority and name, which are for others, but against the file itself.
        getSecure(url, { ...options, rejectUnauthorized: false })
      : get(url, options);
    call.on('error', reject);
    call.on('response', (response) => {
      if (isSecure && !isOwn(http.tls_cert, response.socket as TLSSocket)) {
        call.destroy(new Error('somebody else answers there, with another certificate'));
        return;
      }
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => {
        text += part;
      });
      response.on('error', reject);
      response.on('end', () => resolve({ url, status: response.statusCode ?? 0, text }));
    });
  });
}

function isOwn(file: string, socket: TLSSocket): boolean {
  const { fingerprint256 } = new X509Certificate(readFileSync(file));
  return socket.getPeerCertificate().fingerprint256 === fingerprint256;
}

/** gRPC over TLS with certificates that change while it runs; in plain where there are none. */
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { checkServerIdentity, rootCertificates } from 'node:tls';
import {
  type ChannelCredentials,
  type ClientOptions,
  credentials,
  experimental,
  ServerCredentials,
} from '@grpc/grpc-js';
import type { TlsMaterial, TlsSource } from '../base/tls/tls-identity.ts';

type Provider = experimental.CertificateProvider;
type CaListener = experimental.CaCertificateUpdateListener;
type IdentityListener = experimental.IdentityCertificateUpdateListener;

/** Tells grpc-js of each change. */
class SourceProvider implements Provider {
  readonly #source: TlsSource;
  readonly #unfollow = new Map<CaListener | IdentityListener, () => void>();

  constructor(source: TlsSource) {
    this.#source = source;
  }

  addCaCertificateListener(listener: CaListener): void {
    this.#follow(listener, ({ ca }) => listener(ca === null ? null : { caCertificate: ca }));
  }

  addIdentityCertificateListener(listener: IdentityListener): void {
    this.#follow(listener, ({ cert, key }) =>
      listener(cert === null || key === null ? null : { certificate: cert, privateKey: key }),
    );
  }

  removeCaCertificateListener(listener: CaListener): void {
    this.#forget(listener);
  }

  removeIdentityCertificateListener(listener: IdentityListener): void {
    this.#forget(listener);
  }

  #follow(listener: CaListener | IdentityListener, tell: (material: TlsMaterial) => void): void {
    const told = () => tell(this.#source.material);
    this.#unfollow.set(listener, this.#source.onChanged(told));
    // A server that asks has not yet put itself down as one who is told.
    queueMicrotask(() => {
      if (this.#unfollow.has(listener)) told();
    });
  }

  #forget(listener: CaListener | IdentityListener): void {
    this.#unfollow.get(listener)?.();
    this.#unfollow.delete(listener);
  }
}

/** With authorities, only peers with a certificate of theirs are let in. */
export function serverCredentials(source: TlsSource | null): ServerCredentials {
  if (source === null) return ServerCredentials.createInsecure();
  const provider = new SourceProvider(source);
  const isChecked = source.material.ca !== null;
  return experimental.createCertificateProviderServerCredentials(
    provider,
    isChecked ? provider : null,
    isChecked,
  );
}

/** No name of a server: it stands where TLS allows no address. */
const noName = 'trunkline.invalid';

export interface Channel {
  readonly credentials: ChannelCredentials;
  /** For the client, beside its own. */
  readonly options: ClientOptions;
}

/** The server must have a certificate of the authorities, for the name or address that is called. */
export function channelTo(address: string, source: TlsSource | null): Channel {
  if (source === null) return { credentials: credentials.createInsecure(), options: {} };
  const provider = new SourceProvider(source);
  const host = hostOf(address);
  const isAddress = isIP(host) !== 0;
  const secure = experimental.createCertificateProviderChannelCredentials(
    provider,
    source.material.cert === null ? null : provider,
    { checkServerIdentity: (_name, certificate) => checkServerIdentity(host, certificate) },
  );
  return { credentials: secure, options: namelessIf(isAddress) };
}

/** For commands: `https://host:port` with the authorities of Node.js, `host:port` in plain. */
export function channelOf(url: string): Channel & { readonly address: string } {
  const [, address] = /^https:\/\/([^/]+)\/?$/.exec(url) ?? [];
  if (address === undefined) {
    return { address: url, credentials: credentials.createInsecure(), options: {} };
  }
  const host = hostOf(address);
  const secure = credentials.createSsl(knownAuthorities(), null, null, {
    checkServerIdentity: (_name, certificate) => checkServerIdentity(host, certificate),
  });
  return { address, credentials: secure, options: namelessIf(isIP(host) !== 0) };
}

/** Those of Node.js, and those of the file that it is told of by its own variable. */
function knownAuthorities(): Buffer {
  const own = process.env['NODE_EXTRA_CA_CERTS'] ?? '';
  const more = own === '' ? '' : readFileSync(own, 'utf8');
  return Buffer.from([...rootCertificates, more].join('\n'));
}

/** An address must not be sent as the name of a server (RFC 6066 section 3). */
function namelessIf(isAddress: boolean): ClientOptions {
  return isAddress ? { 'grpc.ssl_target_name_override': noName } : {};
}

function hostOf(address: string): string {
  return address.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
}

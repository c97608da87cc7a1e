/**
 * Bearer tokens of gateways and operators: `Authorization: Bearer …` in HTTP and in gRPC metadata.
 * Compared in constant time; digests make the lengths equal.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { ServerInterceptingCall, type ServerInterceptor, status } from '@grpc/grpc-js';

export class BearerCheck {
  readonly #digest: Buffer | null;

  /** An empty token admits everybody. */
  constructor(token: string) {
    this.#digest = token === '' ? null : digestOf(token);
  }

  get isOpen(): boolean {
    return this.#digest === null;
  }

  /** `header` is the whole value of the authorization header. */
  admits(header: string | undefined): boolean {
    if (this.#digest === null) return true;
    const given = /^bearer +(\S+) *$/i.exec(header ?? '')?.[1];
    return given !== undefined && timingSafeEqual(digestOf(given), this.#digest);
  }
}

export interface GuardedService {
  /** Full name, such as `trunkline.v1.FleetService`. */
  readonly name: string;
  readonly check: BearerCheck;
  /** Setting that holds the token, for the error. */
  readonly setting: string;
  /** Counts what was turned away. */
  readonly onRefused: (peer: string) => void;
}

/** Turns away calls without the service's token; services that are not named are open. */
export function bearerInterceptor(services: readonly GuardedService[]): ServerInterceptor {
  return (method, call) => {
    const guarded = services.find(({ name }) => method.path.startsWith(`/${name}/`));
    if (guarded === undefined || guarded.check.isOpen) return new ServerInterceptingCall(call);
    return new ServerInterceptingCall(call, {
      start: (next) => {
        next({
          onReceiveMetadata: (metadata, proceed) => {
            const [header] = metadata.get('authorization');
            if (guarded.check.admits(typeof header === 'string' ? header : undefined)) {
              proceed(metadata);
              return;
            }
            guarded.onRefused(call.getPeer());
            call.sendStatus({
              code: status.UNAUTHENTICATED,
              details: `Send metadata "authorization: Bearer TOKEN" with the token of ${guarded.setting}.`,
            });
          },
        });
      },
    });
  };
}

function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}

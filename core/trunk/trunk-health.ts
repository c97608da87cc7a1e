/**
 * The gRPC health protocol on the trunk port, by which edges measure the cores and find one that
 * serves. With each answer goes who the core is, for those who know the trunk's token.
 */
import { Metadata, type Server, type ServerUnaryCall, type sendUnaryData } from '@grpc/grpc-js';
import { HealthImplementation, service } from 'grpc-health-check';
import { type CoreFacts, metadataOfCore } from '../../proto/trunk-metadata.ts';
import type { BearerCheck } from '../grpc/bearer.ts';

/** The empty name is the server as a whole, by the health protocol. */
const names = ['', 'trunkline.v1.TrunkService'];

export class TrunkHealth {
  readonly #bearer: BearerCheck;
  readonly #facts: () => CoreFacts;
  readonly #health = new HealthImplementation();

  constructor(bearer: BearerCheck, facts: () => CoreFacts) {
    this.#bearer = bearer;
    this.#facts = facts;
    this.setServing(true);
  }

  addTo(server: Server): void {
    const addService = (_definition: unknown, handlers: Record<string, unknown>) => {
      const check = handlers['check'] as (call: unknown, answer: unknown) => void;
      server.addService(service, {
        ...(handlers as Parameters<Server['addService']>[1]),
        check: (call: ServerUnaryCall<unknown, unknown>, answer: sendUnaryData<unknown>) => {
          call.sendMetadata(this.#told(call.metadata));
          check(call, answer);
        },
      });
    };
    this.#health.addToServer({ addService } as unknown as Parameters<
      HealthImplementation['addToServer']
    >[0]);
  }

  setServing(isServing: boolean): void {
    for (const name of names) {
      this.#health.setStatus(name, isServing ? 'SERVING' : 'NOT_SERVING');
    }
  }

  #told(asked: Metadata): Metadata {
    const [given] = asked.get('authorization');
    const isKnown = this.#bearer.admits(typeof given === 'string' ? given : undefined);
    return isKnown ? metadataOfCore(this.#facts()) : new Metadata();
  }
}

/**
 * Rights behind the front door. A gateway has proved itself and answers for its devices: each is the
 * device of its identifier, in the role `gateway-device`. What a gateway publishes and subscribes to in
 * its own name it does in the role `gateway`, without an identifier.
 */
import type { Grants } from '../../base/rights/grants.ts';
import { Rights } from '../../base/rights/rights.ts';
import { type Subject, subjectOf } from '../../base/rights/subject.ts';

/** Somebody with rights; its grants are others as soon as the rules are. */
export class Holder {
  readonly #rights: Rights;
  readonly #subject: Subject;
  #grants: Grants;

  constructor(rights: Rights, subject: Subject) {
    this.#rights = rights;
    this.#subject = subject;
    this.#grants = rights.of(subject);
  }

  get grants(): Grants {
    return this.#grants;
  }

  renew(): void {
    this.#grants = this.#rights.of(this.#subject);
  }
}

export class GatewayRights {
  readonly #rights: Rights;
  /** Of the gateways themselves. */
  readonly own: Holder;

  constructor(rights: Rights = new Rights({ role: [], rule: [] })) {
    this.#rights = rights;
    this.own = new Holder(rights, subjectOf({ clientId: '', roles: ['gateway'] }));
  }

  device(clientId: string): Holder {
    return new Holder(this.#rights, subjectOf({ clientId, roles: ['gateway-device'] }));
  }

  /** Calls when the rules are others and `own` has been renewed; answers how to stop that. */
  onChanged(listener: () => void): () => void {
    return this.#rights.onChanged(() => {
      this.own.renew();
      listener();
    });
  }
}

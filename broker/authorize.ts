/**
 * Who may do what: asked at every door of the broker, and again of what was let in when it leaves
 * later. Without rules of rights devices may do everything but touch topics that are reserved: names
 * that begin with `$` belong to the server.
 */
import type { Identity } from '../base/identity.ts';
import { type Decision, type Grants, openGrants } from '../base/rights/grants.ts';
import type { Rights } from '../base/rights/rights.ts';
import { type Subject, subjectOf } from '../base/rights/subject.ts';
import type { Will } from './connect-request.ts';

/** Who is asking. */
export interface Principal {
  readonly clientId: string;
  /** Empty for an anonymous device. */
  readonly username: string;
  /** What the client has proved. */
  identity: Identity;
  /** Null for a session within the process, which rules are not about. */
  subject: Subject | null;
  /** By the rules in force: others as soon as those change. Synchronous to ask, so that a client's
   * messages keep their order. */
  grants: Grants;
}

export class Authorize {
  readonly #rights: Rights;

  constructor(rights: Rights) {
    this.#rights = rights;
  }

  /** Nothing is configured, so nothing can have been taken back. */
  get isOpen(): boolean {
    return this.#rights.isOpen;
  }

  principal(clientId: string, identity: Identity): Principal {
    const subject = identity.method === 'internal' ? null : subjectFor(clientId, identity);
    const { username } = identity;
    return { clientId, username, identity, subject, grants: this.#grantsOf(subject) };
  }

  /** The same client, with another identity. */
  become(principal: Principal, identity: Identity): void {
    principal.identity = identity;
    principal.subject = subjectFor(principal.clientId, identity);
    this.renew(principal);
  }

  /** By the rules of now. */
  renew(principal: Principal): void {
    principal.grants = this.#grantsOf(principal.subject);
  }

  /** A will is a publish: when it is left, and when it leaves. */
  will(subject: Subject | null, { topic, qos, retain }: Will): Decision {
    return this.#grantsOf(subject).publish(topic, { qos, retain, will: true });
  }

  onChanged(listener: () => void): () => void {
    return this.#rights.onChanged(listener);
  }

  #grantsOf(subject: Subject | null): Grants {
    return subject === null ? openGrants : this.#rights.of(subject);
  }
}

/** What an anonymous client says of itself proves nothing: it is no device and no user that a rule
 * could name. */
function subjectFor(clientId: string, identity: Identity): Subject {
  const { name, username, tenant, roles, labels, method } = identity;
  if (method === 'none') return subjectOf({ clientId, device: '', roles, labels, tenant });
  return { device: name, clientId, username, tenant, roles, labels };
}

/** How large facts are on the wire, near enough and from above, without encoding them. */
import type { Session } from '../../proto/gen/trunkline/v1/session.ts';

/** A server takes messages of 1 MiB unless it is told otherwise. */
export const factsBytesMax = 256 * 1024;
export const factsItemsMax = 250;

const numbersBytes = 400;
/** UTF-8 has no more for a UTF-16 unit. */
const unitBytes = 3;

export function textBytes(text: string): number {
  return text.length * unitBytes + 4;
}

export function sessionBytes(session: Session): number {
  const texts = [session.clientId, session.username, session.disconnectReason];
  let bytes = numbersBytes;
  for (const text of texts) bytes += textBytes(text);
  for (const { filter } of session.subscriptions) bytes += textBytes(filter) + 8;
  return bytes;
}

/** With fewer of its filters when all would not fit into a message. */
export function fitted(session: Session): Session {
  if (sessionBytes(session) <= factsBytesMax) return session;
  let bytes = sessionBytes({ ...session, subscriptions: [] });
  const subscriptions = session.subscriptions.filter(({ filter }) => {
    bytes += textBytes(filter) + 8;
    return bytes <= factsBytesMax;
  });
  return { ...session, subscriptions };
}

/** Counts what goes into a message. */
export class FactsSize {
  #items = 0;
  #bytes = 0;

  get isEmpty(): boolean {
    return this.#items === 0;
  }

  /** Whether so much more has to go into another message. */
  overflows(bytes: number): boolean {
    return this.#items >= factsItemsMax || (this.#items > 0 && this.#bytes + bytes > factsBytesMax);
  }

  add(bytes: number): void {
    this.#items++;
    this.#bytes += bytes;
  }

  clear(): void {
    this.#items = 0;
    this.#bytes = 0;
  }
}

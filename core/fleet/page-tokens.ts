/**
 * Page tokens: where a page ended and the query that it belongs to, signed with a key of this
 * process, so that nobody can make one up and a token never continues another query. A core that
 * restarted does not know the old ones; the caller then begins again.
 */
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { TrunklineError } from '../../base/errors.ts';

const queryBytes = 8;
const macBytes = 16;

export class PageTokens<End> {
  readonly #secret = randomBytes(32);

  /** `query` is all that makes the query another one. */
  issue(query: readonly string[], end: End): string {
    const body = Buffer.concat([digestOf(query), Buffer.from(JSON.stringify(end))]);
    return Buffer.concat([this.#mac(body), body]).toString('base64url');
  }

  /** Throws `query-invalid`. */
  read(query: readonly string[], token: string): End {
    const bytes = Buffer.from(token, 'base64url');
    const body = bytes.subarray(macBytes);
    const isOurs =
      body.length >= queryBytes &&
      bytes.toString('base64url') === token &&
      timingSafeEqual(this.#mac(body), bytes.subarray(0, macBytes));
    if (!isOurs) {
      throw invalid('it is not one that this core gave since it started');
    }
    if (!body.subarray(0, queryBytes).equals(digestOf(query))) {
      throw invalid('it belongs to a query with another filter, order or grouping');
    }
    return JSON.parse(body.toString('utf8', queryBytes)) as End;
  }

  #mac(body: Buffer): Buffer {
    return createHmac('sha256', this.#secret).update(body).digest().subarray(0, macBytes);
  }
}

function digestOf(query: readonly string[]): Buffer {
  return createHash('sha256').update(JSON.stringify(query)).digest().subarray(0, queryBytes);
}

function invalid(detail: string): TrunklineError {
  return new TrunklineError(
    'query-invalid',
    `page_token is not valid: ${detail}. Start again without a page_token.`,
  );
}

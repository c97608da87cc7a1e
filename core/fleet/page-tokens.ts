/**
 * Page tokens: where a page ended and the query that it belongs to, signed with a key of this
 * process, so that nobody can make one up and a token never continues another query. A core that
 * restarted does not know the old ones; the caller then begins again.
 */
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { TrunklineError } from '../../base/errors.ts';

export interface PageEnd {
  readonly lastKey: string;
  /** How many matched when the first page was read: later pages need not count again. */
  readonly total: number;
}

const queryBytes = 8;
const totalBytes = 6;
const macBytes = 16;

export class PageTokens {
  readonly #secret = randomBytes(32);

  issue(query: string, { lastKey, total }: PageEnd): string {
    const totals = Buffer.alloc(totalBytes);
    totals.writeUIntBE(total, 0, totalBytes);
    const body = Buffer.concat([digestOf(query), totals, Buffer.from(lastKey)]);
    return Buffer.concat([this.#mac(body), body]).toString('base64url');
  }

  /** Throws `query-invalid`. */
  read(query: string, token: string): PageEnd {
    const bytes = Buffer.from(token, 'base64url');
    const body = bytes.subarray(macBytes);
    const isOurs =
      body.length >= queryBytes + totalBytes &&
      bytes.toString('base64url') === token &&
      timingSafeEqual(this.#mac(body), bytes.subarray(0, macBytes));
    if (!isOurs) {
      throw invalid('it is not one that this core gave since it started');
    }
    if (!body.subarray(0, queryBytes).equals(digestOf(query))) {
      throw invalid('it belongs to a query with another filter');
    }
    return {
      total: body.readUIntBE(queryBytes, totalBytes),
      lastKey: body.toString('utf8', queryBytes + totalBytes),
    };
  }

  #mac(body: Buffer): Buffer {
    return createHmac('sha256', this.#secret).update(body).digest().subarray(0, macBytes);
  }
}

function digestOf(query: string): Buffer {
  return createHash('sha256').update(query).digest().subarray(0, queryBytes);
}

function invalid(detail: string): TrunklineError {
  return new TrunklineError(
    'query-invalid',
    `page_token is not valid: ${detail}. Start again without a page_token.`,
  );
}

/** The core's HTTP API as `trunkline sessions` needs it: pages, one session, and the watch. */
import { messageOf, systemCode, TrunklineError } from '../base/errors.ts';
import type { SessionJson, SessionPageJson } from '../core/http/session-json.ts';

/** A core answers at once or not at all. */
const answerMs = 10_000;

/** One event is one session; more without an end is not a core's stream. */
const eventCharactersMax = 4 * 1024 * 1024;

export interface SessionsClientOptions {
  /** Base address of the core's HTTP. */
  readonly http: string;
  /** Empty for none. */
  readonly token: string;
}

export interface ServerEvent {
  readonly event: string;
  readonly id: string;
  readonly data: string;
}

export class SessionsClient {
  readonly #base: string;
  readonly #headers: Record<string, string>;

  /** Throws `config-invalid` for an address that is none. */
  constructor(options: SessionsClientOptions) {
    const url = URL.canParse(options.http) ? new URL(options.http) : null;
    if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
      const given = JSON.stringify(options.http);
      throw new TrunklineError(
        'config-invalid',
        `--http must be an address such as http://127.0.0.1:8080, not ${given}.`,
      );
    }
    this.#base = url.href.replace(/\/$/, '');
    this.#headers = options.token === '' ? {} : { authorization: `Bearer ${options.token}` };
  }

  /** Throws as `#answerOf` does. */
  async page(query: {
    pageSize: number;
    pageToken: string;
    filter: string;
  }): Promise<SessionPageJson> {
    const parameters = new URLSearchParams({
      page_size: String(query.pageSize),
      page_token: query.pageToken,
      filter: query.filter,
    });
    return this.#json<SessionPageJson>(`/v1/sessions?${parameters}`);
  }

  /** Throws `not-found`, or as `#answerOf` does. */
  async get(clientId: string): Promise<SessionJson> {
    const path = `/v1/sessions/${encodeURIComponent(clientId)}`;
    return (await this.#json<{ session: SessionJson }>(path)).session;
  }

  /** Events until the core ends the stream or the signal is aborted, which is no error. */
  async *watch(filter: string, signal: AbortSignal): AsyncGenerator<ServerEvent> {
    const path = `/v1/sessions:watch?${new URLSearchParams({ filter })}`;
    try {
      const response = await this.#answerOf(path, signal);
      if (response.body === null) return;
      yield* eventsOf(response.body);
    } catch (error) {
      if (signal.aborted) return;
      throw error instanceof TrunklineError ? error : this.#unreachable(error);
    }
  }

  async #json<T>(path: string): Promise<T> {
    const response = await this.#answerOf(path, AbortSignal.timeout(answerMs));
    try {
      return (await response.json()) as T;
    } catch (error) {
      throw this.#notACore(response.status, error);
    }
  }

  /** Throws `unreachable`, `protocol`, or what the core says in its own words. */
  async #answerOf(path: string, signal: AbortSignal): Promise<Response> {
    let response: Response;
    try {
      response = await fetch(this.#base + path, { headers: this.#headers, signal });
    } catch (error) {
      throw this.#unreachable(error);
    }
    if (response.ok) return response;
    throw await this.#refusal(response);
  }

  async #refusal(response: Response): Promise<TrunklineError> {
    let message: unknown;
    try {
      message = ((await response.json()) as { error?: { message?: unknown } }).error?.message;
    } catch (error) {
      return this.#notACore(response.status, error);
    }
    if (typeof message !== 'string') return this.#notACore(response.status, null);
    if (response.status === 401) {
      const text = `The core at ${this.#base} wants a token: give the right one with --token.`;
      return new TrunklineError('not-authorized', text);
    }
    return new TrunklineError(response.status === 404 ? 'not-found' : 'query-invalid', message);
  }

  #notACore(status: number, cause: unknown): TrunklineError {
    return new TrunklineError(
      'protocol',
      `${this.#base} answered with status ${status} and not as a core does. Check --http: it is the core's HTTP port, 8080 by default.`,
      { cause },
    );
  }

  #unreachable(error: unknown): TrunklineError {
    const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
    const reason = systemCode(cause) ?? messageOf(cause);
    return new TrunklineError(
      'unreachable',
      `The core at ${this.#base} cannot be reached (${reason}). Start one with \`trunkline up\`, or name another with --http URL.`,
      { cause: error },
    );
  }
}

async function* eventsOf(body: AsyncIterable<Uint8Array>): AsyncGenerator<ServerEvent> {
  const decoder = new TextDecoder();
  let pending = '';
  for await (const chunk of body) {
    const blocks = (pending + decoder.decode(chunk, { stream: true })).split('\n\n');
    pending = blocks.pop() ?? '';
    if (pending.length > eventCharactersMax) {
      throw new TrunklineError('protocol', 'The core sent an event that does not end.');
    }
    for (const block of blocks) {
      const event = eventOf(block);
      if (event !== null) yield event;
    }
  }
}

/** Null for a comment. */
function eventOf(block: string): ServerEvent | null {
  const fields = new Map<string, string>();
  for (const line of block.split('\n')) {
    const colon = line.indexOf(':');
    if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 1).replace(/^ /, ''));
  }
  const event = fields.get('event');
  if (event === undefined) return null;
  return { event, id: fields.get('id') ?? '', data: fields.get('data') ?? '' };
}

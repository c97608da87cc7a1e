/** The core's HTTP API as `trunkline sessions` needs it: pages, one session, and the watch. */
import { TrunklineError } from '../base/errors.ts';
import type { SessionJson, SessionPageJson } from '../core/http/session-json.ts';
import { CoreClient, type CoreClientOptions } from './core-client.ts';

/** One event is one session; more without an end is not a core's stream. */
const eventCharactersMax = 4 * 1024 * 1024;

export interface ServerEvent {
  readonly event: string;
  readonly id: string;
  readonly data: string;
}

export class SessionsClient {
  readonly #core: CoreClient;

  /** Throws `config-invalid` for an address that is none. */
  constructor(options: CoreClientOptions) {
    this.#core = new CoreClient(options);
  }

  /** Throws as `CoreClient.answerOf` does. */
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
    return this.#core.get<SessionPageJson>(`/v1/sessions?${parameters}`);
  }

  /** Throws `not-found`, or as `CoreClient.answerOf` does. */
  async get(clientId: string): Promise<SessionJson> {
    const path = `/v1/sessions/${encodeURIComponent(clientId)}`;
    return (await this.#core.get<{ session: SessionJson }>(path)).session;
  }

  /** Events until the core ends the stream or the signal is aborted, which is no error. */
  async *watch(filter: string, signal: AbortSignal): AsyncGenerator<ServerEvent> {
    const path = `/v1/sessions:watch?${new URLSearchParams({ filter })}`;
    try {
      const response = await this.#core.answerOf(path, { signal });
      if (response.body === null) return;
      yield* eventsOf(response.body);
    } catch (error) {
      if (signal.aborted) return;
      throw error instanceof TrunklineError ? error : this.#core.unreachable(error);
    }
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

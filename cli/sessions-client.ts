/** The core's HTTP API as `trunkline sessions` needs it: pages, one session, and the watch. */
import { TrunklineError } from '../base/errors.ts';
import type { ExplainJson, SessionJson, SessionPageJson } from '../core/http/session-json.ts';
import type { EventJson } from '../core/http/session-routes.ts';
import { CoreClient, type CoreClientOptions } from './core-client.ts';

/** One event is one session; more without an end is not a core's stream. */
const eventCharactersMax = 4 * 1024 * 1024;

export interface ServerEvent {
  readonly event: string;
  readonly id: string;
  readonly data: string;
}

/** Parameters by their names on the wire. */
export type Query = Readonly<Record<string, string>>;

export interface GroupPageJson {
  readonly group_by: readonly string[];
  readonly aggregates: readonly string[];
  readonly groups: readonly {
    readonly keys: readonly string[];
    readonly count: number;
    readonly values: readonly number[];
  }[];
  readonly next_page_token: string;
  readonly total_groups: number;
  readonly total_size: number;
  readonly complete: boolean;
  readonly silent_edges: readonly string[];
  readonly explain?: ExplainJson;
}

export interface EventPageJson {
  readonly events: readonly EventJson[];
  readonly next_page_token: string;
  readonly kept_since_ms: number;
  readonly complete: boolean;
  readonly silent_edges: readonly string[];
}

export interface StoryJson {
  readonly answer: string;
  readonly around: readonly EventJson[];
  readonly complete: boolean;
  readonly silent_edges: readonly string[];
}

export class SessionsClient {
  readonly #core: CoreClient;

  /** Throws `config-invalid` for an address that is none. */
  constructor(options: CoreClientOptions) {
    this.#core = new CoreClient(options);
  }

  /** Throws as `CoreClient.answerOf` does. */
  page(query: Query): Promise<SessionPageJson> {
    return this.#core.get(`/v1/sessions?${new URLSearchParams(query)}`);
  }

  /** Throws as `CoreClient.answerOf` does. */
  groups(query: Query): Promise<GroupPageJson> {
    return this.#core.get(`/v1/sessions:group?${new URLSearchParams(query)}`);
  }

  /** Throws as `CoreClient.answerOf` does. */
  history(query: Query): Promise<EventPageJson> {
    return this.#core.get(`/v1/sessions:history?${new URLSearchParams(query)}`);
  }

  /** Throws as `CoreClient.answerOf` does. */
  why(clientId: string, at: string): Promise<StoryJson> {
    const path = `/v1/sessions/${encodeURIComponent(clientId)}:why`;
    return this.#core.get(`${path}?${new URLSearchParams({ at })}`);
  }

  /** Throws `not-found`, or as `CoreClient.answerOf` does. */
  async get(clientId: string): Promise<SessionJson> {
    const path = `/v1/sessions/${encodeURIComponent(clientId)}`;
    return (await this.#core.get<{ session: SessionJson }>(path)).session;
  }

  /** Events until the core ends the stream or the signal is aborted, which is no error. */
  async *watch(query: Query, signal: AbortSignal): AsyncGenerator<ServerEvent> {
    const path = `/v1/sessions:watch?${new URLSearchParams(query)}`;
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

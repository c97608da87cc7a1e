/** Calls to the core that served this page, with the operator's token when there is one. */
import type { Edge, Session, SessionEventPage, SessionPage, SessionStory, Trunk } from './types.ts';

export type FaultKind =
  /** No answer, or one that did not come from a core. */
  | 'unreachable'
  /** A token is needed, or the one given is wrong. */
  | 'unauthorized'
  /** The core understood and said no; the message is its own. */
  | 'refused';

export class ApiFault extends Error {
  readonly kind: FaultKind;

  constructor(kind: FaultKind, message: string) {
    super(message);
    this.kind = kind;
  }
}

const tokenKey = 'trunkline-token';

/** An answer that takes longer is as good as none. */
const answerMsMax = 8_000;

export interface PageQuery {
  readonly filter: string;
  /** Empty: by client identifier. */
  readonly orderBy: string;
  readonly pageSize: number;
  readonly pageToken: string;
}

export interface Readiness {
  readonly isReady: boolean;
  /** Why not, in the core's words. */
  readonly reasons: readonly string[];
}

export class CoreApi {
  #token = sessionStorage.getItem(tokenKey) ?? '';

  /** Kept until the tab is closed. */
  setToken(token: string): void {
    this.#token = token;
    sessionStorage.setItem(tokenKey, token);
  }

  get hasToken(): boolean {
    return this.#token !== '';
  }

  async edges(signal?: AbortSignal): Promise<readonly Edge[]> {
    const answer = await this.#json<{ edges?: readonly Edge[] }>('/v1/edges', signal);
    return answer.edges ?? [];
  }

  async trunks(signal?: AbortSignal): Promise<readonly Trunk[]> {
    const answer = await this.#json<{ trunks?: readonly Trunk[] }>('/v1/trunks', signal);
    return answer.trunks ?? [];
  }

  sessions(query: PageQuery, signal?: AbortSignal): Promise<SessionPage> {
    const search = new URLSearchParams({ page_size: String(query.pageSize) });
    if (query.filter !== '') search.set('filter', query.filter);
    if (query.orderBy !== '') search.set('order_by', query.orderBy);
    if (query.pageToken !== '') search.set('page_token', query.pageToken);
    return this.#json(`/v1/sessions?${search}`, signal);
  }

  async session(clientId: string, signal?: AbortSignal): Promise<Session> {
    const path = `/v1/sessions/${encodeURIComponent(clientId)}`;
    return (await this.#json<{ session: Session }>(path, signal)).session;
  }

  /** Why it lost its connection at a time, or the last one. */
  why(of: { clientId: string; at: string }, signal?: AbortSignal): Promise<SessionStory> {
    const path = `/v1/sessions/${encodeURIComponent(of.clientId)}:why`;
    return this.#json(`${path}?${new URLSearchParams({ at: of.at })}`, signal);
  }

  /** The newest events of one client. */
  history(clientId: string, signal?: AbortSignal): Promise<SessionEventPage> {
    const quoted = clientId.replaceAll(/["\\*]/g, '\\$&');
    const filter = `client_id = "${quoted}"`;
    return this.#json(`/v1/sessions:history?${new URLSearchParams({ filter })}`, signal);
  }

  /** The open stream of snapshot and changes; read it with `readEvents`. */
  watch(filter: string, signal: AbortSignal): Promise<Response> {
    const search = filter === '' ? '' : `?${new URLSearchParams({ filter })}`;
    return this.#fetch(`/v1/sessions:watch${search}`, signal);
  }

  /** Asked without a token: readiness is no secret. */
  async readiness(signal?: AbortSignal): Promise<Readiness> {
    let response: Response;
    try {
      response = await fetch('/readyz', { signal: limited(signal), cache: 'no-store' });
    } catch {
      throw new ApiFault('unreachable', 'The core does not answer');
    }
    try {
      const body = (await response.json()) as { reasons?: readonly string[] };
      return { isReady: response.ok, reasons: body.reasons ?? [] };
    } catch {
      return { isReady: response.ok, reasons: [] };
    }
  }

  async #json<T>(path: string, signal?: AbortSignal): Promise<T> {
    const response = await this.#fetch(path, limited(signal));
    try {
      return (await response.json()) as T;
    } catch {
      throw new ApiFault('unreachable', 'What answers is not a core');
    }
  }

  async #fetch(path: string, signal: AbortSignal): Promise<Response> {
    // A header cannot carry other characters, and no core has such a token.
    if (!/^[\x21-\x7e]*$/.test(this.#token)) {
      throw new ApiFault('unauthorized', 'The core asks for a token');
    }
    const headers = this.hasToken ? { authorization: `Bearer ${this.#token}` } : {};
    let response: Response;
    try {
      response = await fetch(path, { headers, signal, cache: 'no-store' });
    } catch {
      throw new ApiFault('unreachable', 'The core does not answer');
    }
    if (response.ok) return response;
    if (response.status === 401) {
      throw new ApiFault('unauthorized', 'The core asks for a token');
    }
    const kind = response.status >= 500 ? 'unreachable' : 'refused';
    throw new ApiFault(kind, await refusalText(response));
  }
}

function limited(signal: AbortSignal | undefined): AbortSignal {
  const limit = AbortSignal.timeout(answerMsMax);
  return signal === undefined ? limit : AbortSignal.any([signal, limit]);
}

/** The core's own sentence; a proxy in between has none that would help. */
async function refusalText(response: Response): Promise<string> {
  try {
    const body = (await response.json()) as { error?: { message?: string } };
    if (body.error?.message !== undefined) return body.error.message;
  } catch {
    // Not JSON: the status says what there is to say.
  }
  return `The core answered ${response.status}`;
}

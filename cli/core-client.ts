/** The core's HTTP API as commands use it: JSON in and out, and refusals in the core's own words. */
import { messageOf, systemCode, TrunklineError } from '../base/errors.ts';

/** A core answers at once; a change waits for the edges. */
const answerMs = 15_000;

export interface CoreClientOptions {
  /** Base address of the core's HTTP. */
  readonly http: string;
  /** Empty for none. */
  readonly token: string;
}

export class CoreClient {
  readonly #base: string;
  readonly #headers: Record<string, string>;

  /** Throws `config-invalid` for an address that is none. */
  constructor(options: CoreClientOptions) {
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

  /** Throws as `answerOf` does. */
  get<T>(path: string): Promise<T> {
    return this.#json<T>(path, {});
  }

  /** The same, for what changes something. */
  post<T>(path: string, body: unknown): Promise<T> {
    const headers = { 'content-type': 'application/json' };
    return this.#json<T>(path, { method: 'POST', body: JSON.stringify(body), headers });
  }

  async #json<T>(path: string, init: RequestInit): Promise<T> {
    const response = await this.answerOf(path, { ...init, signal: AbortSignal.timeout(answerMs) });
    try {
      return (await response.json()) as T;
    } catch (error) {
      throw this.#notACore(response.status, error);
    }
  }

  /** Throws `unreachable`, `protocol`, or what the core says in its own words. */
  async answerOf(path: string, init: RequestInit): Promise<Response> {
    let response: Response;
    try {
      const headers = { ...init.headers, ...this.#headers };
      response = await fetch(this.#base + path, { ...init, headers });
    } catch (error) {
      throw this.unreachable(error);
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
    const code = response.status === 404 ? 'not-found' : 'query-invalid';
    return new TrunklineError(response.status === 409 ? 'rules-conflict' : code, message);
  }

  #notACore(status: number, cause: unknown): TrunklineError {
    return new TrunklineError(
      'protocol',
      `${this.#base} answered with status ${status} and not as a core does. Check --http: it is the core's HTTP port, 8080 by default.`,
      { cause },
    );
  }

  unreachable(error: unknown): TrunklineError {
    const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
    const reason = systemCode(cause) ?? messageOf(cause);
    if (/CERT|SELF_SIGNED|UNABLE_TO_VERIFY/.test(reason)) {
      const text = `The certificate of ${this.#base} is not trusted (${reason}). Name the file of its authority in NODE_EXTRA_CA_CERTS, and use a name or address that the certificate is for.`;
      return new TrunklineError('not-authorized', text, { cause: error });
    }
    return new TrunklineError(
      'unreachable',
      `The core at ${this.#base} cannot be reached (${reason}). Start one with \`trunkline up\`, or name another with --http URL.`,
      { cause: error },
    );
  }
}

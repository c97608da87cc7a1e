/** An HTTP service on a free port whose answers the test gives, and whose questions it sees. */
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

export interface Asked {
  readonly url: string;
  readonly authorization: string;
  readonly body: string;
}

export class HookServer {
  readonly asked: Asked[] = [];
  answer: (asked: Asked, response: ServerResponse) => void = (_asked, response) => response.end();
  readonly #server = createServer(async (request, response) => {
    const { url = '', headers } = request;
    const one = { url, authorization: headers.authorization ?? '', body: await text(request) };
    this.asked.push(one);
    this.answer(one, response);
  });

  static async open(): Promise<HookServer> {
    const hook = new HookServer();
    await new Promise<void>((resolve) => hook.#server.listen(0, '127.0.0.1', resolve));
    return hook;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  json(value: unknown): void {
    this.answer = (_asked, response) => response.end(JSON.stringify(value));
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}

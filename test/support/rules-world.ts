/** Two edges and a core as processes, and how a test changes the rules between them. */
import assert from 'node:assert/strict';
import type { RulesChangeJson, RuleVersionJson } from '../../core/http/rules-json.ts';
import { TestClient } from './clients.ts';
import { type Fleet, interested, startFleet, urlOf } from './fleet.ts';

export const up = (filter: string, more: Record<string, unknown> = {}) => {
  return { direction: 'up', filter, ...more };
};
export const down = (filter: string, more: Record<string, unknown> = {}) => {
  return { direction: 'down', filter, ...more };
};

export class RulesWorld {
  readonly fleet: Fleet;
  readonly urlA: string;
  readonly urlB: string;
  readonly #clients: TestClient[] = [];

  private constructor(fleet: Fleet) {
    this.fleet = fleet;
    [this.urlA, this.urlB] = fleet.edges.map(urlOf) as [string, string];
  }

  static async start(): Promise<RulesWorld> {
    return new RulesWorld(await startFleet(2));
  }

  get http(): string {
    return `http://127.0.0.1:${this.fleet.core.port('http')}`;
  }

  async connect(url: string): Promise<TestClient> {
    const client = await TestClient.connect(url);
    this.#clients.push(client);
    return client;
  }

  /** A client on edge b that is alone there, when the core knows that it wants something. */
  async subscriberOnB(filter: string, qos: 0 | 1 | 2 = 2): Promise<TestClient> {
    const client = await this.connect(this.urlB);
    await client.subscribe(filter, qos);
    await interested(this.fleet.core, 'edge-b', 1);
    return client;
  }

  async post(path: string, body: unknown): Promise<{ status: number; body: unknown }> {
    const response = await fetch(`${this.http}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    return { status: response.status, body: await response.json() };
  }

  async change(body: Record<string, unknown>, path = '/v1/rules'): Promise<RulesChangeJson> {
    const answer = await this.post(path, body);
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    return answer.body as RulesChangeJson;
  }

  async versions(): Promise<RuleVersionJson[]> {
    const response = await fetch(`${this.http}/v1/rules/versions`);
    return ((await response.json()) as { versions: RuleVersionJson[] }).versions;
  }

  /** No clients, and no rules. */
  async clear(): Promise<void> {
    await Promise.all(this.#clients.splice(0).map((client) => client.mqtt.endAsync(true)));
    for (const name of ['', 'edge-a', 'edge-b']) await this.change({ name, remove: true });
  }

  async stop(): Promise<void> {
    const { core, edges } = this.fleet;
    await Promise.all([...edges, core].map((one) => one.kill()));
  }
}

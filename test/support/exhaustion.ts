/**
 * One system under attack, in a process of its own: a core and an edge with small bounds, and two
 * devices that go on exchanging messages. After each attack they are served, memory and the delay of
 * the event loop are within bounds, and what the attack met is counted.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { before, test } from 'node:test';
import { Client5 } from './client-5.ts';
import { TestClient } from './clients.ts';
import { type RunningProcess, startProcess } from './processes.ts';
import { until } from './until.ts';

export const login = { username: 'device', password: 'right' };

const residentBytesMax = 700 * 1024 * 1024;
/** Of a machine that does other things beside; on one of its own it is a tenth. */
const loopDelaySecondsMax = 1;
const servedMsMax = 5_000;

const user = {
  username: login.username,
  password_sha256: createHash('sha256').update(login.password).digest('hex'),
};

const flags = [
  ...['--auth-users', JSON.stringify([user]), '--auth-attempts', '50'],
  ...['--auth-attempts-per-address', '200', '--auth-attempts-wait-seconds-max', '1'],
  ...['--limits-connecting', '300', '--limits-connect-seconds', '2'],
  ...['--limits-connections', '1000', '--limits-drain-seconds', '1'],
  ...['--limits-output-bytes', '1000000', '--limits-packet-bytes', '200000'],
  ...['--limits-retained-messages', '5000', '--limits-queue-messages', '500'],
  ...['--limits-filters', '500', '--limits-subscriptions', '1000', '--log-level', 'error'],
];

export interface Attack {
  readonly name: string;
  readonly run: (target: Target) => Promise<void>;
  /** What begins a sample that must have grown; left out where the attack is served in full. */
  readonly counted?: string;
}

export class Target {
  readonly #system: RunningProcess;
  readonly #open = new Set<Socket>();

  constructor(system: RunningProcess) {
    this.#system = system;
  }

  port(name: string): number {
    return this.#system.port(name);
  }

  /** A socket whose end is nobody's fault, closed after the attack. */
  async socket(name = 'mqtt'): Promise<Socket> {
    const socket = connect({ port: this.port(name), host: '127.0.0.1', noDelay: true });
    this.#open.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => this.#open.delete(socket));
    await new Promise<void>((resolve) => {
      socket.once('connect', resolve);
      socket.once('close', () => resolve());
    });
    return socket;
  }

  sockets(count: number, name = 'mqtt'): Promise<Socket[]> {
    return Promise.all(Array.from({ length: count }, () => this.socket(name)));
  }

  /** A client that is let in, and read from unless it is paused. */
  async client(clientId: string, options: Record<string, unknown> = {}): Promise<Client5> {
    const password = Buffer.from(login.password);
    const who = { username: login.username, password };
    const client = await Client5.session(this.port('mqtt'), clientId, { ...who, ...options });
    this.#open.add(client.socket);
    return client;
  }

  end(): void {
    for (const socket of this.#open) socket.destroy();
    this.#open.clear();
  }

  async samples(): Promise<string[]> {
    const response = await fetch(`http://127.0.0.1:${this.port('edge_http')}/metrics`);
    return (await response.text()).split('\n');
  }

  /** The sum of all samples that begin so. */
  async sample(start: string): Promise<number> {
    const lines = (await this.samples()).filter((line) => line.startsWith(start));
    return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
  }
}

/** Registers a test for each. */
export function attackEach(attacks: readonly Attack[]): void {
  let target: Target;
  let system: RunningProcess;
  let sender: TestClient;
  let receiver: TestClient;

  before(async () => {
    system = await startProcess('up', { flags });
    target = new Target(system);
    const url = `mqtt://127.0.0.1:${system.port('mqtt')}`;
    [sender, receiver] = await Promise.all([
      TestClient.connect(url, { ...login, clientId: 'sender' }),
      TestClient.connect(url, { ...login, clientId: 'receiver' }),
    ]);
    await receiver.subscribe('served', 1);
  });

  const serve = async (text: string) => {
    const began = performance.now();
    await sender.publish('served', text, { qos: 1 });
    await until(() => receiver.texts.includes(text), `"${text}" is delivered`);
    return performance.now() - began;
  };

  for (const [index, { name, run, counted }] of attacks.entries()) {
    test(`others are served beside ${name}`, async () => {
      const before = counted === undefined ? 0 : await target.sample(counted);
      const during = run(target);
      const servedMs = await serve(`during ${index}`);
      await during;
      if (counted !== undefined) {
        await until(async () => (await target.sample(counted)) > before, `${counted} has grown`);
      }
      target.end();
      await serve(`after ${index}`);
      const delay = await target.sample('trunkline_event_loop_delay_p99_seconds');
      const resident = await target.sample('trunkline_process_resident_bytes');
      assert.ok(servedMs < servedMsMax, `served within ${servedMs} ms`);
      assert.ok(delay < loopDelaySecondsMax, `the event loop was ${delay} s late`);
      assert.ok(resident < residentBytesMax, `${resident} bytes are resident`);
    });
  }

  test('it stops in order after all that', async () => {
    await Promise.all([sender.end(), receiver.end()]);
    const { code, signal } = await system.stop();
    assert.deepEqual([code, signal], [0, null]);
  });
}

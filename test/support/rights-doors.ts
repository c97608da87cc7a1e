/**
 * The doors of an edge and of a core by one name, for tests of rights: a client publishes, subscribes
 * and tells what it was answered, whatever it speaks. The same rules are in force everywhere.
 */
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { generate, type Packet, parser } from 'mqtt-packet';
import WebSocket, { createWebSocketStream } from 'ws';
import { configSchema } from '../../base/config-schema.ts';
import { plainIdentity } from '../../base/identity.ts';
import { Rights } from '../../base/rights/rights.ts';
import { type Authenticator, accepted, refused } from '../../broker/auth/authenticator.ts';
import type { Packet5 } from './client-5.ts';
import { openTestFront, row, type TestFront, TestGateway } from './front.ts';
import { type LocalBroker, openLocalBroker } from './local-broker.ts';

export interface RuleOf {
  readonly name: string;
  readonly effect?: 'allow' | 'deny';
  readonly action: 'publish' | 'subscribe';
  readonly filter: string;
  readonly [more: string]: unknown;
}

export function settingsOf(rules: readonly RuleOf[]) {
  const rule = rules.map((one) => ({ effect: 'allow', ...one }));
  return configSchema.parse({ rights: { rule } }).rights;
}

/** The user name may have a role behind it; all are of one tenant and one site, and the password is "right". */
const people: Authenticator = {
  method: 'test',
  authenticate({ clientId, username, password }) {
    if (username === '')
      return accepted(plainIdentity({ name: clientId, username, method: 'none' }));
    if (password?.toString() !== 'right') return refused('credentials');
    const [name = '', role = 'device'] = username.split(':');
    const labels = new Map([['site', 'north']]);
    const known = {
      name,
      username: name,
      roles: [role],
      tenant: 'acme',
      labels,
    };
    return accepted(plainIdentity({ ...known, method: 'test' }));
  },
};

export interface Ask {
  readonly qos?: 0 | 1 | 2;
  readonly retain?: boolean;
}

export interface Will extends Ask {
  readonly topic: string;
  readonly delaySeconds?: number;
}

export interface Login {
  /** Names a user and perhaps a role, as in "meter-1:meters"; empty for none. */
  readonly user?: string;
  readonly clean?: boolean;
  readonly will?: Will;
}

/** A client that has connected. */
export interface Peer {
  /** Topics of what it was sent. */
  readonly received: string[];
  /** True when it was taken, false when it was refused, and null when that is not said. */
  publish(topic: string, text: string, ask?: Ask): Promise<boolean | null>;
  /** The QoS that was granted; -1 when it was refused. */
  subscribe(filter: string, qos?: 0 | 1 | 2): Promise<number>;
  /** What was sent before has been dealt with. */
  settled(): Promise<void>;
  /** Ends without a word, which leaves the will in force. */
  cut(): Promise<void>;
}

export interface Door {
  readonly name: string;
  /** Null when it was refused. */
  open(clientId: string, login?: Login): Promise<Peer | null>;
}

export class RightsWorld {
  readonly rights: Rights;
  edge: LocalBroker;
  readonly front: TestFront;
  readonly doors: readonly Door[];
  readonly #gateway: TestGateway;
  readonly #peers: MqttPeer[] = [];

  private constructor(rights: Rights, edge: LocalBroker, front: TestFront, gateway: TestGateway) {
    this.rights = rights;
    this.edge = edge;
    this.front = front;
    this.#gateway = gateway;
    this.doors = [
      this.#mqttDoor('MQTT 3.1.1', 4, () => connect({ port: this.edge.port, noDelay: true })),
      this.#mqttDoor('MQTT 5', 5, () => connect({ port: this.edge.port, noDelay: true })),
      this.#mqttDoor('WebSocket', 5, () => webSocket(this.edge.wsPort)),
      this.#mqttDoor('WebSocket, MQTT 3.1.1', 4, () => webSocket(this.edge.wsPort)),
      gatewayDoor(gateway),
    ];
  }

  static async open(rules: readonly RuleOf[]): Promise<RightsWorld> {
    const rights = new Rights(settingsOf(rules));
    const more = { rights, authenticators: [people] };
    const edge = await openLocalBroker({}, undefined, undefined, more);
    const front = await openTestFront({}, undefined, { rights });
    return new RightsWorld(rights, edge, front, await TestGateway.attach(front, 'gateway-1'));
  }

  /** The doors of an edge. */
  get mqttDoors(): readonly Door[] {
    return this.doors.slice(0, -1);
  }

  replace(rules: readonly RuleOf[]): void {
    this.rights.replace(settingsOf(rules));
  }

  /** The edge, with these rules. */
  async restart(settings: ReturnType<typeof settingsOf>): Promise<void> {
    const { data } = this.edge;
    await this.edge.close();
    this.rights.replace(settings);
    const more = { rights: this.rights, authenticators: [people] };
    this.edge = await openLocalBroker({}, data, undefined, more);
  }

  async close(): Promise<void> {
    for (const peer of this.#peers) await peer.cut();
    await this.edge.discard();
    await this.#gateway.end();
    await this.front.close();
  }

  #mqttDoor(name: string, version: 4 | 5, dial: () => Duplex): Door {
    return {
      name,
      open: async (clientId, login = {}) => {
        const peer = new MqttPeer(dial(), version);
        this.#peers.push(peer);
        return (await peer.connect(clientId, login)) ? peer : null;
      },
    };
  }
}

function webSocket(port: number): Duplex {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/mqtt`, 'mqtt');
  return createWebSocketStream(socket);
}

const stayMs = 5_000;

/** MQTT packet by packet over any stream. */
export class MqttPeer implements Peer {
  readonly received: string[] = [];
  readonly stream: Duplex;
  readonly #version: 4 | 5;
  readonly #closed: Promise<null>;
  readonly #answers: Packet5[] = [];
  readonly #waiting = new Set<() => void>();
  #isClosed = false;
  #packetId = 0;

  constructor(stream: Duplex, version: 4 | 5) {
    this.stream = stream;
    this.#version = version;
    const read = parser({ protocolVersion: version } as never);
    read.on('packet', (packet) => this.#take(packet as Packet5));
    read.on('error', () => stream.destroy());
    this.#closed = new Promise((resolve) => {
      stream.once('close', () => {
        this.#isClosed = true;
        this.#wake();
        resolve(null);
      });
    });
    stream.on('error', () => {});
    stream.once('end', () => stream.destroy());
    stream.on('data', (chunk: Buffer) => read.parse(chunk));
  }

  connectBytes(clientId: string, { user = '', clean = true, will }: Login): Buffer {
    const kept = { sessionExpiryInterval: clean ? 0 : 600 };
    const { topic, qos = 0, retain = false, delaySeconds = 0 } = will ?? { topic: '' };
    const words = { topic, qos, retain, payload: Buffer.from('will') };
    return this.#bytes({
      ...{ cmd: 'connect', protocolId: 'MQTT', protocolVersion: this.#version, keepalive: 60 },
      ...{ clientId, clean: this.#version === 5 ? false : clean },
      ...(user === '' ? {} : { username: user, password: Buffer.from('right') }),
      ...(this.#version === 5 ? { properties: kept } : {}),
      ...(will === undefined ? {} : { will: this.#willOf(words, delaySeconds) }),
    });
  }

  async connect(clientId: string, login: Login): Promise<boolean> {
    this.stream.write(this.connectBytes(clientId, login));
    const connack = await this.answer('connack');
    const code = connack?.reasonCode ?? (connack as { returnCode?: number } | null)?.returnCode;
    return code === 0;
  }

  async publish(topic: string, text: string, ask: Ask = {}): Promise<boolean | null> {
    return this.send({ topic, payload: Buffer.from(text), qos: 1, retain: false, ...ask });
  }

  /** With everything said, such as a topic alias. */
  async send(fields: Record<string, unknown>): Promise<boolean | null> {
    const messageId = this.#nextId();
    this.stream.write(this.#bytes({ cmd: 'publish', messageId, ...fields }));
    if (fields['qos'] === 0) return (await this.#pong()) ? null : false;
    const answer = await this.answer(fields['qos'] === 1 ? 'puback' : 'pubrec');
    if (answer === null || (answer.reasonCode ?? 0) >= 0x80) return false;
    if (fields['qos'] === 1) return true;
    this.stream.write(this.#bytes({ cmd: 'pubrel', messageId }));
    return (await this.answer('pubcomp')) !== null;
  }

  async subscribe(filter: string, qos: 0 | 1 | 2 = 0): Promise<number> {
    return (await this.subscribeAll([[filter, qos]]))[0] ?? -1;
  }

  /** In one packet. */
  async subscribeAll(filters: readonly (readonly [string, 0 | 1 | 2])[]): Promise<number[]> {
    const subscriptions = filters.map(([topic, qos]) => ({ topic, qos }));
    const messageId = this.#nextId();
    this.stream.write(this.#bytes({ cmd: 'subscribe', messageId, subscriptions }));
    const granted = (await this.answer('suback'))?.granted ?? filters.map(() => 0x80);
    return granted.map((code) => (code >= 0x80 ? -1 : code));
  }

  async settled(): Promise<void> {
    await this.#pong();
  }

  async cut(): Promise<void> {
    this.stream.destroy();
    await this.#closed;
  }

  /** The next packet of this kind, or null when the connection has ended. */
  async answer(cmd: string): Promise<Packet5 | null> {
    const until = performance.now() + stayMs;
    for (;;) {
      const index = this.#answers.findIndex((one) => one.cmd === cmd);
      if (index >= 0) return this.#answers.splice(index, 1)[0] as Packet5;
      if (this.#isClosed) return null;
      if (performance.now() > until) throw new Error(`no ${cmd} within 5 s`);
      await new Promise<void>((resolve) => {
        const guard = setTimeout(resolve, stayMs);
        this.#waiting.add(() => {
          clearTimeout(guard);
          resolve();
        });
      });
    }
  }

  #wake(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const one of waiting) one();
  }

  async #pong(): Promise<boolean> {
    this.stream.write(this.#bytes({ cmd: 'pingreq' }));
    return (await this.answer('pingresp')) !== null;
  }

  #willOf(words: Record<string, unknown>, delaySeconds: number): Record<string, unknown> {
    return this.#version === 5
      ? { ...words, properties: { willDelayInterval: delaySeconds } }
      : words;
  }

  #nextId(): number {
    this.#packetId++;
    return this.#packetId;
  }

  packetBytes(packet: Record<string, unknown>): Buffer {
    return this.#bytes(packet);
  }

  #bytes(packet: Record<string, unknown>): Buffer {
    return generate(packet as unknown as Packet, { protocolVersion: this.#version } as never);
  }

  #take(packet: Packet5): void {
    if (packet.cmd !== 'publish') this.#answers.push(packet);
    else {
      this.received.push(packet.topic ?? '');
      const { qos = 0, messageId = 0 } = packet;
      if (qos === 1) this.stream.write(this.#bytes({ cmd: 'puback', messageId }));
      if (qos === 2) this.stream.write(this.#bytes({ cmd: 'pubrec', messageId }));
    }
    if (packet.cmd === 'pubrel') {
      this.stream.write(this.#bytes({ cmd: 'pubcomp', messageId: packet.messageId }));
    }
    this.#wake();
  }
}

/** Devices behind one gateway, one thing after the other; those of another user are not known there. */
function gatewayDoor(gateway: TestGateway): Door {
  return {
    name: 'gateway',
    open: async (clientId, { will } = {}) => {
      const left =
        will && row(will.topic, 'will', { qos: will.qos ?? 0, retain: will.retain ?? false });
      gateway.send('open', { clientId, will: left });
      const { message } = await gateway.inbox.next();
      return message?.$case === 'opened' ? new GatewayPeer(gateway, clientId) : null;
    },
  };
}

class GatewayPeer implements Peer {
  readonly received: string[] = [];
  readonly #gateway: TestGateway;
  readonly #clientId: string;

  constructor(gateway: TestGateway, clientId: string) {
    this.#gateway = gateway;
    this.#clientId = clientId;
  }

  async publish(topic: string, text: string, { qos = 1, retain = false }: Ask = {}) {
    const publications = [row(topic, text, { qos, retain })];
    this.#gateway.send('publish', { clientId: this.#clientId, requestId: 1, publications });
    const answer = await this.#answer();
    return answer?.$case === 'published' && answer.value.refusals[0] === '';
  }

  async subscribe(filter: string, qos: 0 | 1 | 2 = 0): Promise<number> {
    const subscriptions = [{ filter, qos }];
    this.#gateway.send('subscribe', { clientId: this.#clientId, subscriptions });
    const answer = await this.#answer();
    const [code = 128] = answer?.$case === 'subscribed' ? answer.value.returnCodes : [];
    return code === 128 ? -1 : code;
  }

  async settled(): Promise<void> {}

  async cut(): Promise<void> {
    this.#gateway.send('close', { clientId: this.#clientId, withWill: true });
    await this.#answer();
  }

  /** What comes for the device meanwhile is noted. */
  async #answer() {
    for (;;) {
      const { message } = await this.#gateway.inbox.next();
      if (message?.$case !== 'delivery') return message;
      this.received.push(...message.value.publications.map(({ topic }) => topic));
    }
  }
}

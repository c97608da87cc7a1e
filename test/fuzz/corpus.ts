/** Well-formed packets of MQTT 3.1.1 and 5 that mutations start from: every type, every property. */
import { generate, type Packet } from 'mqtt-packet';

export type Version = 4 | 5;

export interface Corpus {
  readonly version: Version;
  readonly connects: readonly Buffer[];
  /** What may follow a CONNECT. */
  readonly packets: readonly Buffer[];
  /** Well formed, and yet a client may not send it, or not there: a connection ends with it. */
  readonly odd: readonly Buffer[];
}

/** Short, so that clients meet on the same topics and take over each other's sessions. */
const clientIds = Array.from({ length: 48 }, (_, i) => `fuzz-${i}`);
const topicNames = [
  'f/a',
  'f/b/c',
  'f//x',
  '/',
  'f/\u00e9\u{1f600}',
  'f/a',
  `f/${'l'.repeat(300)}`,
];
const filters = [
  ...['f/#', '#', '+/a', 'f/+', 'f/+/c', '+', '/+', 'f//x'],
  ...['$share/g/f/#', '$share/h/+/a', '$SYS/#', '$denied/#'],
];
const userProperties = { k: 'v', many: ['1', '2', '3'] };
const payloads = ['', 'x', 'y'.repeat(200), '\0\u00ff'];
const identifiers = [1, 2, 65_535];

export function corpusOf(version: Version): Corpus {
  const connects = clientIds.flatMap((clientId, i) => connectPackets(version, clientId, i));
  const packets = [
    ...publishes(version),
    ...acknowledgements(version),
    ...subscriptions(version),
    { cmd: 'pingreq' } as Packet,
  ];
  const odd = [
    ...connects.slice(0, 4),
    ...oddPublishes(version),
    ...fromServer(),
    ...ends(version),
  ];
  const encode = (one: Packet) => generate(one, { protocolVersion: version });
  return {
    version,
    connects: connects.map(encode),
    packets: packets.map(encode),
    odd: odd.map(encode),
  };
}

/** Properties are of MQTT 5 alone. */
function withProperties(version: Version, properties: object): object {
  return version === 5 ? { properties } : {};
}

function connectPackets(version: Version, clientId: string, index: number): Packet[] {
  const base = { cmd: 'connect', clientId, protocolVersion: version, keepalive: 30 };
  const will = {
    topic: 'f/will',
    payload: Buffer.from('gone'),
    qos: index % 3,
    retain: index % 2 === 0,
    ...withProperties(version, {
      willDelayInterval: index % 3,
      payloadFormatIndicator: true,
      messageExpiryInterval: 10,
      contentType: 'text/plain',
      responseTopic: 'f/answer',
      correlationData: Buffer.from([1, 2]),
      userProperties,
    }),
  };
  const full = {
    sessionExpiryInterval: [0, 1, 0xffff_ffff][index % 3],
    receiveMaximum: [1, 20, 65_535][index % 3],
    maximumPacketSize: [64, 1_000, 0xffff_ffff][index % 3],
    topicAliasMaximum: [0, 5, 65_535][index % 3],
    requestResponseInformation: true,
    requestProblemInformation: false,
    userProperties,
  };
  const authentication = { authenticationMethod: 'm', authenticationData: Buffer.from('d') };
  return [
    { ...base, clean: true },
    { ...base, clean: false, ...withProperties(version, full) },
    { ...base, clean: index % 2 === 0, will, ...withProperties(version, full) },
    { ...base, clean: true, keepalive: 65_535, username: 'u', password: Buffer.from('p') },
    { ...base, clean: true, ...withProperties(version, authentication) },
    { ...base, clientId: '', clean: true },
  ] as Packet[];
}

function publishes(version: Version): Packet[] {
  const list: object[] = [];
  for (const [i, topic] of topicNames.entries()) {
    for (const qos of [0, 1, 2]) {
      const messageId = identifiers[i % identifiers.length];
      const payload = payloads[i % payloads.length];
      const base = { cmd: 'publish', topic, payload, qos, messageId };
      list.push({ ...base, dup: qos > 0 && i % 2 === 0, retain: i % 3 === 0 });
      if (version === 4) continue;
      const properties = {
        payloadFormatIndicator: i % 2 === 0,
        messageExpiryInterval: i,
        ...(i % 4 === 0 ? { topicAlias: [1, 5, 65_535][i % 3] } : {}),
        responseTopic: 'f/answer',
        correlationData: Buffer.from([0, 255]),
        userProperties,
        contentType: 'text/plain',
      };
      list.push({ ...base, dup: false, retain: false, properties });
    }
  }
  return list as Packet[];
}

/** An alias that was not set, an identifier that only a server may give, a reserved topic. */
function oddPublishes(version: Version): Packet[] {
  const base = { cmd: 'publish', payload: 'x', qos: 0, dup: false, retain: false };
  const reserved = { ...base, topic: '$SYS/x' } as Packet;
  if (version === 4) return [reserved];
  return [
    reserved,
    { ...base, topic: '', properties: { topicAlias: 1 } } as Packet,
    { ...base, topic: 'f/a', properties: { subscriptionIdentifier: [1, 268_435_455] } } as Packet,
  ];
}

function acknowledgements(version: Version): Packet[] {
  return ['puback', 'pubrec', 'pubrel', 'pubcomp'].flatMap((cmd) =>
    identifiers.flatMap((messageId) => {
      const properties = { reasonString: 'r', userProperties };
      const plain = { cmd, messageId } as Packet;
      if (version === 4) return [plain];
      const withReason = { cmd, messageId, reasonCode: 0x92, properties } as Packet;
      return [plain, withReason];
    }),
  );
}

function subscriptions(version: Version): Packet[] {
  const list: object[] = [];
  for (const [i, topic] of filters.entries()) {
    const options = { nl: i % 2 === 0, rap: i % 3 === 0, rh: i % 3 };
    const one = { topic, qos: i % 3, ...(version === 5 ? options : {}) };
    const messageId = identifiers[i % identifiers.length];
    const numbered = withProperties(version, {
      subscriptionIdentifier: [1, 268_435_455][i % 2],
      userProperties,
    });
    list.push({ cmd: 'subscribe', messageId, subscriptions: [one], ...numbered });
    const named = withProperties(version, { userProperties });
    list.push({ cmd: 'unsubscribe', messageId, unsubscriptions: [topic, 'f/none'], ...named });
  }
  const all = filters.map((topic) => ({ topic, qos: 2, nl: false, rap: false, rh: 0 }));
  list.push({ cmd: 'subscribe', messageId: 9, subscriptions: all });
  return list as Packet[];
}

function fromServer(): Packet[] {
  return [
    { cmd: 'connack', sessionPresent: true, returnCode: 0, reasonCode: 0 },
    { cmd: 'suback', messageId: 1, granted: [0, 1, 2, 128] },
    { cmd: 'pingresp' },
    { cmd: 'unsuback', messageId: 1, granted: [0, 17] },
  ] as Packet[];
}

function ends(version: Version): Packet[] {
  if (version === 4) return [{ cmd: 'disconnect' }];
  const authentication = { authenticationMethod: 'm', authenticationData: Buffer.from('d') };
  return [
    { cmd: 'disconnect', reasonCode: 0 },
    { cmd: 'disconnect', reasonCode: 4, properties: { sessionExpiryInterval: 5 } },
    { cmd: 'disconnect', reasonCode: 0x81, properties: { reasonString: 'r', userProperties } },
    { cmd: 'auth', reasonCode: 0x18, properties: { ...authentication, userProperties } },
  ] as Packet[];
}

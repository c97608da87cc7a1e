/** Ways of clients that were let in to exhaust the edge. */

import { bytesOf, type Client5 } from '../support/client-5.ts';
import { TestClient } from '../support/clients.ts';
import { type Attack, attackEach, login, type Target } from '../support/exhaustion.ts';
import { packet } from '../support/raw-client.ts';

function published(topic: string, more: Record<string, unknown> = {}): Buffer {
  const fields = { cmd: 'publish', topic, payload: 'x', qos: 0, dup: false, retain: false };
  return bytesOf({ ...fields, ...more });
}

/** The same bytes many times, with waits for the socket. */
async function flood(client: Client5, bytes: Buffer, count: number): Promise<void> {
  const { socket } = client;
  for (let i = 0; i < count && !socket.destroyed; i++) {
    if (socket.write(bytes)) continue;
    await new Promise<void>((resolve) => {
      const go = () => {
        socket.off('drain', go).off('close', go);
        resolve();
      };
      socket.on('drain', go).on('close', go);
    });
  }
}

/** Resolves when all before was dealt with, or the connection is gone. */
async function settled(client: Client5): Promise<void> {
  client.send({ cmd: 'pingreq' });
  await client.nextOf('pingresp').catch(() => {});
}

function subscribing(filters: readonly string[]): Record<string, unknown> {
  return {
    cmd: 'subscribe',
    messageId: 1,
    subscriptions: filters.map((topic) => ({ topic, qos: 0 })),
  };
}

function numbered(count: number, form: (i: number) => string): string[] {
  return Array.from({ length: count }, (_, i) => form(i));
}

async function each(target: Target, count: number, run: (client: Client5, i: number) => void) {
  const clients = numbered(count, (i) => `c${i}`).map((id) => target.client(id));
  for (const [i, client] of (await Promise.all(clients)).entries()) run(client, i);
}

const attacks: readonly Attack[] = [
  {
    name: 'QoS 2 identifiers that are never released',
    run: async (target) => {
      const client = await target.client('q2');
      for (let id = 1; id <= 3_000; id++) client.send(published('t', { qos: 2, messageId: id }));
      await client.closed;
    },
    counted: 'trunkline_limits_met_total{limit="receive_maximum"}',
  },
  {
    name: 'a hundred thousand subscriptions',
    run: async (target) => {
      const client = await target.client('subs');
      for (let i = 0; i < 200; i++) {
        client.send(subscribing(numbered(500, (n) => `s/${i}/${n}`)));
        await client.nextOf('suback');
      }
    },
    counted: 'trunkline_limits_met_total{limit="subscriptions"}',
  },
  {
    name: 'twenty thousand filters in one packet',
    run: async (target) => {
      const client = await target.client('filters');
      client.send(subscribing(numbered(20_000, (i) => `f${i}`)));
      await client.closed;
    },
    counted: 'trunkline_limits_met_total{limit="filters"}',
  },
  {
    name: 'a reader with a closed window',
    run: async (target) => {
      const reader = await target.client('deaf');
      await reader.subscribe('noise/#');
      reader.socket.pause();
      const client = await target.client('loud');
      await flood(client, published('noise/1', { payload: Buffer.alloc(50_000) }), 400);
      await settled(client);
      await new Promise((resolve) => setTimeout(resolve, 1_500));
    },
    counted: 'trunkline_dropped_total',
  },
  {
    name: 'a client that asks and does not read the answers',
    run: async (target) => {
      const client = await target.client('asks');
      client.socket.pause();
      const asked = Buffer.concat(Array.from({ length: 2_000 }, () => Buffer.of(0xc0, 0)));
      for (let i = 0; i < 500; i++) client.socket.write(asked);
    },
  },
  {
    name: 'user properties without end',
    run: async (target) => {
      const client = await target.client('props');
      const userProperties = { k: numbered(10_000, () => 'v') };
      await flood(client, published('t', { properties: { userProperties } }), 100);
      await settled(client);
    },
  },
  {
    name: 'topic aliases past the highest',
    run: (target) =>
      each(target, 50, (client) =>
        client.send(published('t', { properties: { topicAlias: 65_535 } })),
      ),
    counted: 'trunkline_limits_met_total{limit="topic_aliases"}',
  },
  {
    name: 'aliases that are set anew for each message',
    run: async (target) => {
      const client = await target.client('alias');
      for (let i = 0; i < 2_000; i++) {
        const topic = `${i}`.padStart(2_000, 'x');
        client.socket.write(published(topic, { properties: { topicAlias: (i % 64) + 1 } }));
      }
      await settled(client);
    },
  },
  {
    name: 'topics of a thousand levels',
    run: (target) => each(target, 50, (client) => client.send(published('/'.repeat(1_000)))),
    counted: `trunkline_refused_total{reason="topic-invalid"}`,
  },
  {
    name: 'retained messages on ever new topics',
    run: async (target) => {
      const client = await target.client('retain');
      const many = Buffer.concat(
        numbered(8_000, (i) => `r/${i}`).map((topic) => published(topic, { retain: true })),
      );
      await flood(client, many, 1);
      await settled(client);
    },
    counted: 'trunkline_retained_dropped_total{reason="full"}',
  },
  {
    name: 'queues of sessions that stay away',
    run: async (target) => {
      const properties = { sessionExpiryInterval: 60 };
      const away = await target.client('away', { clean: false, properties });
      await away.subscribe('queue');
      away.socket.destroy();
      const client = await target.client('fills');
      for (let id = 1; id <= 900; id++) client.send(published('queue', { qos: 1, messageId: id }));
      await settled(client);
    },
    counted: 'trunkline_dropped_total{reason="queue-full"}',
  },
  {
    name: 'messages as fast as they can be sent',
    run: async (target) => {
      const client = await target.client('flood');
      const many = Buffer.concat(Array.from({ length: 1_000 }, () => published('flood')));
      await flood(client, many, 100);
      await settled(client);
    },
    counted: 'trunkline_accepted_total',
  },
  {
    name: 'packets that come byte by byte',
    run: async (target) => {
      await each(target, 10, (client) => {
        const bytes = published('bytes', { payload: 'y'.repeat(300) });
        for (const byte of bytes) client.socket.write(Buffer.of(byte));
      });
    },
    counted: 'trunkline_accepted_total',
  },
  {
    name: 'wildcards of many levels that match everything',
    run: async (target) => {
      await each(target, 10, (client, i) => {
        client.send(subscribing(numbered(400, (n) => `${'+/'.repeat((n % 40) + 1)}${i}/#`)));
      });
      const client = await target.client('matches');
      await flood(client, published('w/'.repeat(60)), 500);
      await settled(client);
    },
  },
  {
    name: 'ever new groups of shared subscriptions',
    run: async (target) => {
      const client = await target.client('shares');
      client.send(subscribing(numbered(500, (i) => `$share/g${i}/shared/#`)));
      await client.nextOf('suback');
      const other = await target.client('publishes');
      await flood(other, published('shared/1'), 200);
      await settled(other);
    },
  },
  {
    name: 'a packet that claims 200 MiB',
    run: (target) =>
      each(target, 50, (client) => client.send(Buffer.of(0x30, 0xff, 0xff, 0xff, 0x5f, 0))),
    counted: 'trunkline_limits_met_total{limit="packet_bytes"}',
  },
  {
    name: 'wills of clients that are cut off at once',
    run: async (target) => {
      const will = { topic: 'wills', payload: Buffer.alloc(10_000), qos: 1, retain: true };
      const clients = numbered(100, (i) => `will${i}`).map((id) => target.client(id, { will }));
      for (const client of await Promise.all(clients)) client.socket.resetAndDestroy();
    },
    counted: 'trunkline_accepted_total{qos="1"}',
  },
  {
    name: 'clients that take each other’s place',
    run: async (target) => {
      const clients = Array.from({ length: 100 }, () => target.client('same'));
      await Promise.allSettled(clients);
    },
    counted: 'trunkline_connections_closed_total{reason="taken-over"}',
  },
  {
    name: 'releases of identifiers that nobody knows',
    run: async (target) => {
      const client = await target.client('pubrel');
      const many = Buffer.concat(
        numbered(20_000, String).map((id) => {
          const packetId = (Number(id) % 65_535) + 1;
          return packet(0x62, Buffer.of(packetId >> 8, packetId & 255));
        }),
      );
      await flood(client, many, 1);
      await settled(client);
    },
  },
  {
    name: 'sessions that are begun and left behind',
    run: async (target) => {
      const properties = { sessionExpiryInterval: 2 };
      const clients = numbered(200, (i) => `left${i}`).map((id) =>
        target.client(id, { properties }),
      );
      for (const client of await Promise.all(clients)) client.socket.destroy();
    },
  },
  {
    name: 'subscriptions that come and go',
    run: async (target) => {
      const client = await target.client('churn');
      for (let i = 0; i < 300; i++) {
        client.send(subscribing([`churn/${i}/#`]));
        client.send({ cmd: 'unsubscribe', messageId: 2, unsubscriptions: [`churn/${i}/#`] });
      }
      for (let i = 0; i < 300; i++) await client.nextOf('unsuback');
    },
  },
  {
    name: 'a client of MQTT 3.1.1 that subscribes to all that is retained, again and again',
    run: async (target) => {
      const url = `mqtt://127.0.0.1:${target.port('mqtt')}`;
      const client = await TestClient.connect(url, { ...login, protocolVersion: 4 });
      for (let i = 0; i < 20; i++) await client.subscribe('#');
      await client.end();
    },
  },
];

attackEach(attacks);

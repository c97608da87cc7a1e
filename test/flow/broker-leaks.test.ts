/** What is left of connections that came and went, whatever moment they went at. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Aedes } from 'aedes';
import { openLocalBroker } from '../support/local-broker.ts';
import { connectPacket, packet, RawClient, subscribePacket } from '../support/raw-client.ts';
import { until } from '../support/until.ts';

function text(value: string): Buffer {
  return Buffer.concat([Buffer.of(0, value.length), Buffer.from(value)]);
}

function connectWithWill(clientId: string, flags: number): Buffer {
  const fields = [text(clientId), text('will/x'), text('gone')];
  return packet(0x10, text('MQTT'), Buffer.of(4, flags, 0, 60), ...fields);
}

test('connections that end at any moment of CONNECT leave no client behind', async () => {
  const createBroker = Aedes.createBroker;
  let clients: Readonly<Record<string, unknown>> = {};
  Aedes.createBroker = async (options) => {
    const aedes = await createBroker.call(Aedes, options);
    clients = (aedes as unknown as { clients: typeof clients }).clients;
    return aedes;
  };
  const edge = await openLocalBroker();
  Aedes.createBroker = createBroker;
  for (let i = 0; i < 150; i++) {
    const raw = await RawClient.open(edge.port);
    const connects = [
      connectPacket(`leak-${i}`),
      connectPacket(`leak-${i}`, { clean: false }),
      connectWithWill(`leak-${i}`, 6),
      connectWithWill(`leak-${i}`, 4),
      connectWithWill(`leak-${i % 10}`, 4),
    ];
    raw.send(connects[i % connects.length] as Buffer);
    // From before the first byte is read until after CONNACK.
    if (i % 3 === 1) await new Promise((resolve) => setImmediate(resolve));
    if (i % 3 === 2) await raw.nextOf(2).then(() => raw.send(subscribePacket(1, 'a', 1)));
    raw.destroy();
  }
  await until(() => /trunkline_connections 0\n/.test(edge.metrics.text()), 'all are gone');
  await until(() => Object.keys(clients).length === 0, 'Aedes has let go of all');
  const kept = [...edge.broker.localDelivery.sessions()];
  assert.equal(
    kept.every((one) => !one.cleanStart),
    true,
  );
  await edge.discard();
});

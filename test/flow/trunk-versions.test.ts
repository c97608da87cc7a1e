/**
 * Peers of other versions: fields that one side does not know yet, and capabilities that one side
 * does not have. What both sides know decides, and nothing of it gets lost.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { SessionIndex } from '../../core/sessions/session-index.ts';
import { GetSessionResponse } from '../../proto/gen/trunkline/v1/fleet.ts';
import { Batch } from '../../proto/gen/trunkline/v1/publication.ts';
import { Session } from '../../proto/gen/trunkline/v1/session.ts';
import * as wire from '../../proto/gen/trunkline/v1/trunk.ts';
import { quietParts, session } from '../support/front.ts';
import { addUnknown, ChangedWire } from '../support/newer-peer.ts';
import { publication, TestCore, TestEdge, withFolder } from '../support/trunk-world.ts';
import { until } from '../support/until.ts';

/** QoS 0 and 1, a retained message and what the core is told of, between two edges. */
async function everythingWorks(): Promise<void> {
  await withFolder(async (folder) => {
    const core = await TestCore.open(join(folder, 'log.db'));
    const a = await new TestEdge('a', core.port).start();
    const b = await new TestEdge('b', core.port).start();
    try {
      assert.ok(await b.want('t/#'));
      a.spool.append([publication('t/1', 'kept', { retain: true })]);
      await b.receives(1);
      await until(() => a.bridge.wants('t/0'), 'the edge knows what others want');
      a.bridge.offer(publication('t/0', 'live', { qos: 0 }));
      await b.receives(2);
      assert.ok(await a.want('t/1'));
      await a.receives(1);
      assert.deepEqual(a.payloads('t/1'), ['kept']);
      assert.deepEqual(b.payloads('t/0'), ['live']);
      await until(() => a.spool.backlog === 0, 'all is acknowledged');
      await until(() => core.sink.events.includes('stats a'), 'the core knows how it goes');
      assert.match(core.parts.metrics.text(), /^trunkline_batches_refused_total 0$/m);
    } finally {
      await a.bridge.close();
      await b.bridge.close();
      await core.close();
    }
  });
}

function newer(): ChangedWire {
  const change = new ChangedWire();
  return change
    .grow(Batch)
    .grow(wire.Watermark)
    .grow(wire.Credit)
    .grow(wire.Heartbeat)
    .grow(wire.InterestUpdate);
}

const withLater = <Message extends { capabilities: string[] }>(message: Message): Message => ({
  ...message,
  capabilities: [...message.capabilities, 'of-a-later-version'],
});

const withNone = <Message extends { capabilities: string[] }>(message: Message): Message => ({
  ...message,
  capabilities: [],
});

const peers: Readonly<Record<string, () => ChangedWire>> = {
  'newer edges': () =>
    newer()
      .grow(wire.ControlRequest)
      .grow(wire.LaneRequest)
      .grow(wire.LaneOpen)
      .grow(wire.SessionFacts)
      .grow(wire.EdgeStats)
      .grow(wire.LaneStats)
      .grow(wire.Hello)
      .change(wire.Hello, withLater),
  'a newer core': () =>
    newer()
      .grow(wire.ControlResponse)
      .grow(wire.LaneResponse)
      .grow(wire.LaneOpened)
      .grow(wire.InterestReached)
      .grow(wire.Welcome)
      .change(wire.Welcome, withLater),
  'older edges, without any capability': () => new ChangedWire().change(wire.Hello, withNone),
  'an older core, without any capability': () => new ChangedWire().change(wire.Welcome, withNone),
};

for (const [who, changed] of Object.entries(peers)) {
  test(`${who}: everything that both sides know works`, async () => {
    const change = changed();
    try {
      await everythingWorks();
    } finally {
      change.undo();
    }
  });
}

test('messages of kinds that are not known yet are passed over', async () => {
  const change = new ChangedWire();
  const laterKind = <Message extends { message?: { $case: string } | undefined }>(one: Message) =>
    one.message?.$case === 'heartbeat' ? { ...one, message: undefined } : one;
  change.grow(wire.ControlRequest).change(wire.ControlRequest, laterKind);
  change.grow(wire.LaneRequest).change(wire.LaneRequest, laterKind);
  change.grow(wire.LaneResponse).change(wire.LaneResponse, laterKind);
  try {
    await everythingWorks();
  } finally {
    change.undo();
  }
});

test('what a newer edge tells of its sessions passes through the core as it is', () => {
  const index = new SessionIndex(quietParts());
  index.edgeAttached({ edgeId: 'edge-a', region: 'north', softwareVersion: '2.0.0' });
  const told = addUnknown(Session.encode(session('device-1'))).finish();
  index.upsert('edge-a', [Session.decode(told)]);
  const answer = { session: index.get('device-1') };
  const passed = Buffer.from(GetSessionResponse.encode(answer).finish());
  assert.ok(passed.includes(Buffer.from('of a later version')));
  const read = GetSessionResponse.decode(passed).session?._unknownFields ?? {};
  assert.deepEqual(
    Object.keys(read).map((tag) => Number(tag) >> 3),
    [900, 901, 902, 903],
  );
});

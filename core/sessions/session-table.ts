/**
 * Sessions in columns: each reported one has a row, whose number stays while it is reported. A row
 * takes a fraction of the memory of an object, a scan reads only what it needs, and the garbage
 * collector has nothing to look at.
 */
import type { Session } from '../../proto/gen/trunkline/v1/session.ts';
import { chunkRows, ListColumn, MarkColumn, NumberColumn, TextColumn } from './columns/columns.ts';
import { LaterFields } from './later-fields.ts';
import { stateOf, type TextField, textFields } from './session-fields.ts';
import { dropReasons, type NumberField, numberFields } from './session-numbers.ts';

/** Between subscriptions: the one character that no filter has [MQTT-1.5.4-2]. */
const separator = '\0';

const noSubscriptions: Session['subscriptions'] = [];
const noDrops: Session['drops'] = [];

export class SessionTable {
  readonly #texts = new Map(textFields.map(({ name }) => [name, new TextColumn()]));
  readonly #numbers = new Map(numberFields.map(({ name }) => [name, new NumberColumn()]));
  readonly #textColumns = [...this.#texts.values()];
  readonly #numberColumns = [...this.#numbers.values()];
  /** Filters of each row. */
  readonly subscriptions = new ListColumn();
  /** The QoS of each, a digit. */
  readonly #grants = new TextColumn();
  readonly #later = new LaterFields();
  /** 1 for a row that is the current one of its client identifier. */
  readonly live = new MarkColumn();
  /** When a row last changed, in the count of all changes. */
  readonly changedAt = new NumberColumn();
  /** The number of who reported it; 0 for a row that is free. */
  readonly holder = new NumberColumn();
  /** Set by the holder's last snapshot that named it. */
  readonly seen = new NumberColumn();
  readonly clients = this.text('client_id');
  readonly #state = this.text('state');
  readonly #connectedAt = this.number('connected_at_ms');
  readonly #updatedAt = this.number('updated_at_ms');
  readonly #spare: number[] = [];
  #end = 0;

  /** Rows are below this. */
  get rowEnd(): number {
    return this.#end;
  }

  get chunkCount(): number {
    return this.live.chunks.length;
  }

  text(name: string): TextColumn {
    return this.#texts.get(name) as TextColumn;
  }

  number(name: string): NumberColumn {
    return this.#numbers.get(name) as NumberColumn;
  }

  clientId(row: number): string {
    return this.clients.get(row);
  }

  isConnected(row: number): boolean {
    return this.#state.get(row) === 'connected';
  }

  connectedAt(row: number): number {
    return this.#connectedAt.get(row);
  }

  /** A row for a session that has none. */
  add(session: Session, holder: number): number {
    const row = this.#spare.pop() ?? this.#end++;
    if (row === this.chunkCount * chunkRows) this.#grow();
    for (let i = 0; i < textFields.length; i++) {
      const text = (textFields[i] as TextField).read(session);
      (this.#textColumns[i] as TextColumn).begin(row, text);
    }
    this.#writeNumbers(row, session);
    this.subscriptions.set(row, linesOf(session.subscriptions));
    this.#grants.begin(row, grantsOf(session.subscriptions));
    this.#later.set(row, session);
    this.holder.set(row, holder);
    return row;
  }

  /** Writes the session over its row. When it was told alone is no change. */
  write(row: number, session: Session): void {
    for (let i = 0; i < textFields.length; i++) {
      (this.#textColumns[i] as TextColumn).set(row, (textFields[i] as TextField).read(session));
    }
    this.#writeNumbers(row, session);
    const lines = linesOf(session.subscriptions);
    if (this.subscriptions.get(row) !== lines) this.subscriptions.set(row, lines);
    this.#grants.set(row, grantsOf(session.subscriptions));
    this.#later.set(row, session);
  }

  /** Whether the session says something else than its row. */
  differs(row: number, session: Session): boolean {
    for (let i = 0; i < textFields.length; i++) {
      const text = (textFields[i] as TextField).read(session);
      if ((this.#textColumns[i] as TextColumn).get(row) !== text) return true;
    }
    for (let i = 0; i < numberFields.length; i++) {
      const column = this.#numberColumns[i] as NumberColumn;
      if (column === this.#updatedAt) continue;
      if (column.get(row) !== (numberFields[i] as NumberField).read(session)) return true;
    }
    const { subscriptions } = session;
    return (
      this.subscriptions.get(row) !== linesOf(subscriptions) ||
      this.#grants.get(row) !== grantsOf(subscriptions) ||
      this.#later.differ(row, session)
    );
  }

  noteUpdated(row: number, at: number): void {
    this.#updatedAt.set(row, at);
  }

  /** The row is free for another session. */
  delete(row: number): void {
    for (const column of this.#textColumns) column.end(row);
    this.#grants.end(row);
    this.#later.delete(row);
    this.subscriptions.set(row, '');
    this.live.set(row, 0);
    this.holder.set(row, 0);
    this.#spare.push(row);
  }

  /** As it was reported. */
  read(row: number): Session {
    const text = (name: string) => this.text(name).get(row);
    const number = (name: string) => this.number(name).get(row);
    return {
      clientId: text('client_id'),
      edgeId: text('edge_id'),
      gatewayId: text('gateway_id'),
      state: stateOf(text('state')),
      protocol: text('protocol'),
      listener: text('listener'),
      remoteAddress: text('remote_address'),
      username: text('username'),
      cleanStart: number('clean_start') === 1,
      keepAliveSeconds: number('keep_alive_seconds'),
      connectedAtMs: number('connected_at_ms'),
      disconnectedAtMs: number('disconnected_at_ms'),
      disconnectReason: text('disconnect_reason'),
      subscriptions: subscriptionsOf(this.subscriptions.get(row), this.#grants.get(row)),
      subscriptionCount: number('subscription_count'),
      queueMessages: number('queue_messages'),
      inflightMessages: number('inflight_messages'),
      receivedMessages: number('received_messages'),
      deliveredMessages: number('delivered_messages'),
      droppedMessages: number('dropped_messages'),
      region: text('region'),
      sessionExpirySeconds: number('session_expiry_seconds'),
      willPresent: number('will_present') === 1,
      receiveMaximum: number('receive_maximum'),
      disconnectedBy: text('disconnected_by'),
      queueOldestAtMs: number('queue_oldest_at_ms'),
      receivedRate: number('received_rate'),
      deliveredRate: number('delivered_rate'),
      keepAliveMarginMs: number('keep_alive_margin_ms'),
      drops: this.#drops(row),
      updatedAtMs: number('updated_at_ms'),
      ...this.#more(row),
      ...this.#later.of(row),
    };
  }

  #more(row: number) {
    const number = (name: string) => this.number(name).get(row);
    return {
      authMethod: this.text('auth_method').get(row),
      willTopic: this.text('will_topic').get(row),
      willQos: number('will_qos'),
      willRetain: number('will_retain') === 1,
      willDelaySeconds: number('will_delay_seconds'),
      maximumPacketBytes: number('maximum_packet_bytes'),
      topicAliasMaximum: number('topic_alias_maximum'),
      sharedSubscriptionCount: number('shared_subscription_count'),
      receivedBytes: number('received_bytes'),
      sentBytes: number('sent_bytes'),
      queueBytes: number('queue_bytes'),
      unsentBytes: number('unsent_bytes'),
      blockedMs: number('blocked_ms'),
      unreleasedMessages: number('unreleased_messages'),
      connectionCount: number('connection_count'),
      roundTripUs: number('round_trip_us'),
      receivedByteRate: number('received_byte_rate'),
      sentByteRate: number('sent_byte_rate'),
      droppedRate: number('dropped_rate'),
    };
  }

  #writeNumbers(row: number, session: Session): void {
    for (let i = 0; i < numberFields.length; i++) {
      const number = (numberFields[i] as NumberField).read(session);
      (this.#numberColumns[i] as NumberColumn).set(row, number);
    }
  }

  #drops(row: number): Session['drops'] {
    if (this.number('dropped_messages').get(row) === 0) return noDrops;
    return dropReasons
      .map((reason) => ({ reason, messages: this.number(`dropped.${reason}`).get(row) }))
      .filter(({ messages }) => messages > 0);
  }

  #grow(): void {
    for (const column of this.#textColumns) column.grow();
    for (const column of this.#numberColumns) column.grow();
    for (const column of [this.changedAt, this.holder, this.seen]) column.grow();
    this.subscriptions.grow();
    this.#grants.grow();
    this.live.grow();
  }
}

/** The filters in what `subscriptions` has of a row. */
export function filtersOf(lines: string): string[] {
  return lines === '' ? [] : lines.split(separator);
}

function linesOf(subscriptions: Session['subscriptions']): string {
  const [only] = subscriptions;
  if (only === undefined) return '';
  if (subscriptions.length === 1) return only.filter;
  return subscriptions.map(({ filter }) => filter).join(separator);
}

function grantsOf(subscriptions: Session['subscriptions']): string {
  return subscriptions.map(({ qos }) => qos).join('');
}

function subscriptionsOf(lines: string, grants: string): Session['subscriptions'] {
  if (lines === '') return noSubscriptions;
  return filtersOf(lines).map((filter, index) => ({ filter, qos: Number(grants[index]) }));
}

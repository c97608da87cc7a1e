/**
 * What the edge must remember of its sessions, in one SQLite file: sessions, subscriptions, QoS 2
 * handshakes, what was settled, retained messages and wills. Messages themselves are in the log;
 * here stand references to them.
 *
 * Changes gather in memory and leave in one transaction (group commit). `commit()` resolves when
 * everything changed before the call is durable; what nobody waits for follows within `lazyMs`.
 */
import type { Clock } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import { openSqlite, type SqlDatabase } from '../../base/sqlite.ts';
import { BufferedTable } from './buffered-table.ts';
import { bringUp } from './layout.ts';

const lazyMs = 200;
const retryMs = 1_000;

/** Once closing, a disk that still fails is given up after this time. */
const giveUpMs = 3_000;

/** Rows as SQLite gives them back. */
export interface SessionRow {
  readonly client_id: string;
  /** Log sequence when the session began: earlier entries of the same client are another's. */
  readonly began_at: number;
  /** Every message for the session up to this log sequence is dealt with. */
  readonly settled_through: number;
  /** Milliseconds since the epoch; 0 while connected. */
  readonly disconnected_at: number;
  readonly username: string;
  readonly connected_at: number;
  /** Null in rows of before it was there: as long as the configuration says. */
  readonly expiry_seconds: number | null;
}

export interface SubscriptionRow {
  readonly client_id: string;
  readonly filter: string;
  readonly qos: number;
  /** Log sequence from which it counts. */
  readonly since: number;
  readonly no_local: number;
  readonly retain_as_published: number;
  /** 0 for none. */
  readonly identifier: number;
  /** 1 while retained messages are on their way to a kept session. */
  readonly is_replaying: number;
}

export interface InflightRow {
  readonly client_id: string;
  readonly packet_id: number;
  readonly sequence: number;
  /** 1 once PUBREC came: only PUBREL is owed. */
  readonly is_released: number;
  /** Name of the shared subscription that it is of; empty for the session's own. */
  readonly owner: string;
}

export interface SettledRow {
  readonly client_id: string;
  readonly sequence: number;
}

export interface ReceivedRow {
  readonly client_id: string;
  readonly packet_id: number;
}

export interface RetainedRow {
  readonly topic: string;
  readonly sequence: number;
  readonly qos: number;
  readonly payload: Buffer;
  readonly properties: Buffer | null;
  readonly accepted_at: number;
  readonly origin: string;
}

export interface ParkedRow {
  readonly sequence: number;
  readonly topic: string;
  readonly qos: number;
  readonly payload: Buffer;
  readonly properties: Buffer | null;
  readonly accepted_at: number;
  readonly origin: string;
}

export interface WillRow {
  readonly client_id: string;
  readonly topic: string;
  readonly payload: Buffer;
  readonly qos: number;
  readonly retain: number;
  readonly properties: Buffer | null;
  readonly delay_seconds: number;
  /** When it is published, milliseconds since the epoch; 0 while its connection is there. */
  readonly due_at: number;
  /** Whose rights it needs, as `subjectText` writes it. */
  readonly subject: string;
}

export class StateStore {
  readonly sessions = table('session', 1, [
    'client_id TEXT',
    'began_at INTEGER',
    'settled_through INTEGER',
    'disconnected_at INTEGER',
    'username TEXT',
    'connected_at INTEGER',
    'expiry_seconds INTEGER',
  ]);
  readonly subscriptions = table('subscription', 2, [
    'client_id TEXT',
    'filter TEXT',
    'qos INTEGER',
    'since INTEGER',
    'no_local INTEGER DEFAULT 0',
    'retain_as_published INTEGER DEFAULT 0',
    'identifier INTEGER DEFAULT 0',
    'is_replaying INTEGER DEFAULT 0',
  ]);
  readonly inflight = table('inflight', 2, [
    'client_id TEXT',
    'packet_id INTEGER',
    'sequence INTEGER',
    'is_released INTEGER',
    "owner TEXT DEFAULT ''",
  ]);
  readonly settled = table('settled', 2, ['client_id TEXT', 'sequence INTEGER']);
  readonly sharedGroups = table('shared_group', 1, ['name TEXT', 'settled_through INTEGER']);
  readonly sharedSettled = table('shared_settled', 2, ['name TEXT', 'sequence INTEGER']);
  readonly received = table('received', 2, ['client_id TEXT', 'packet_id INTEGER']);
  readonly retained = table('retained', 1, [
    'topic TEXT',
    'sequence INTEGER',
    'qos INTEGER',
    'payload BLOB',
    'properties BLOB',
    'accepted_at INTEGER',
    'origin TEXT',
  ]);
  readonly wills = table('will', 1, [
    'client_id TEXT',
    'topic TEXT',
    'payload BLOB',
    'qos INTEGER',
    'retain INTEGER',
    'properties BLOB',
    'delay_seconds INTEGER DEFAULT 0',
    'due_at INTEGER DEFAULT 0',
    "subject TEXT DEFAULT ''",
  ]);
  readonly parked = table('parked', 1, [
    'sequence INTEGER',
    'topic TEXT',
    'qos INTEGER',
    'payload BLOB',
    'properties BLOB',
    'accepted_at INTEGER',
    'origin TEXT',
  ]);
  readonly #tables = [
    this.sessions,
    this.subscriptions,
    this.inflight,
    this.settled,
    this.sharedGroups,
    this.sharedSettled,
    this.received,
    this.retained,
    this.wills,
    this.parked,
  ];
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #database: SqlDatabase;
  readonly #stopLazy: () => void;
  #committing: Promise<void> | null = null;
  #next: Promise<void> | null = null;
  #isClosing = false;

  private constructor(parts: { log: Logger; clock: Clock }, database: SqlDatabase) {
    this.#log = parts.log;
    this.#clock = parts.clock;
    this.#database = database;
    this.#stopLazy = parts.clock.every(lazyMs, () => {
      if (this.#committing === null && this.#isDirty) void this.commit();
    });
  }

  /** Opens or creates `file`. Throws `data-unwritable`. */
  static async open(parts: { log: Logger; clock: Clock }, file: string): Promise<StateStore> {
    const database = await openSqlite(file, { synchronous: 'FULL' });
    const store = new StateStore(parts, database);
    try {
      await bringUp(database, { file, tables: store.#tables });
    } catch (error) {
      await store.close();
      throw error;
    }
    return store;
  }

  load<R>(from: BufferedTable): Promise<R[]> {
    return from.load<R>(this.#database);
  }

  /** One parked message, as of the last commit. */
  async parkedRow(sequence: number): Promise<ParkedRow | undefined> {
    const sql = 'SELECT * FROM parked WHERE sequence = ?';
    return (await this.#database.all<ParkedRow>(sql, [sequence]))[0];
  }

  /** Forgets everything that is keyed by a client identifier, but for its will. */
  dropSession(clientId: string): void {
    for (const one of [
      this.sessions,
      this.subscriptions,
      this.inflight,
      this.settled,
      this.received,
    ]) {
      one.drop(clientId);
    }
  }

  /** Forgets a shared subscription; its handshakes stay with their sessions. */
  dropGroup(name: string): void {
    this.sharedGroups.drop(name);
    this.sharedSettled.drop(name);
  }

  /** Resolves when all changes made so far are durable. A failing disk is tried until it works. */
  commit(): Promise<void> {
    if (this.#committing === null) {
      this.#committing = this.#run().finally(() => {
        this.#committing = null;
      });
      return this.#committing;
    }
    // The running commit took its changes already: those made since need the next one.
    this.#next ??= this.#committing.then(() => {
      this.#next = null;
      return this.commit();
    });
    return this.#next;
  }

  async close(): Promise<void> {
    if (this.#isClosing) return;
    this.#stopLazy();
    const stopWaiting = this.#clock.after(giveUpMs, () => {
      this.#isClosing = true;
    });
    await this.commit();
    stopWaiting();
    this.#isClosing = true;
    if (this.#isDirty) this.#log.error({}, 'state store closed without its last changes');
    await this.#database.close();
  }

  get #isDirty(): boolean {
    return this.#tables.some((one) => one.isDirty);
  }

  async #run(): Promise<void> {
    // Whoever else changes something in this turn shares the transaction.
    await new Promise<void>((resolve) => setImmediate(resolve));
    while (this.#isDirty && !this.#isClosing) {
      const taken = this.#tables.filter((one) => one.isDirty).map((one) => one.take());
      try {
        await this.#write(taken.flatMap((one) => one.statements));
        return;
      } catch (error) {
        for (const one of taken) one.restore();
        this.#log.error({ err: error }, 'state store write failed, trying again');
        await new Promise<void>((resolve) => this.#clock.after(retryMs, resolve));
      }
    }
  }

  async #write(
    statements: readonly { sql: string; params: (string | number | Buffer | null)[] }[],
  ) {
    await this.#database.exec('BEGIN IMMEDIATE');
    try {
      for (const { sql, params } of statements) await this.#database.run(sql, params);
      await this.#database.exec('COMMIT');
    } catch (error) {
      await this.#database.exec('ROLLBACK').catch(() => {});
      throw error;
    }
  }
}

function table(name: string, keyColumns: number, columns: readonly string[]): BufferedTable {
  return new BufferedTable({ name, keyColumns, columns });
}

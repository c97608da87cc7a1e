/** Sessions as people read them: a table, one session's lines, one line per event. */
import type { SessionJson } from '../core/http/session-json.ts';
import type { EventJson } from '../core/http/session-routes.ts';
import type { GroupPageJson } from './sessions-client.ts';
import { type Column, printable, tableLines } from './text-table.ts';

const columns: readonly Column<SessionJson>[] = [
  { title: 'CLIENT ID', of: (session) => printable(session.client_id) },
  { title: 'STATE', of: (session) => session.state },
  { title: 'EDGE', of: (session) => printable(edgeOf(session)) },
  { title: 'PROTOCOL', of: (session) => printable(session.protocol) },
  { title: 'ADDRESS', of: (session) => printable(session.remote_address) || '-' },
  { title: 'SUBS', isNumber: true, of: (session) => String(session.subscription_count) },
  { title: 'QUEUE', isNumber: true, of: (session) => String(session.queue_messages) },
  { title: 'IN', isNumber: true, of: (session) => String(session.received_messages) },
  { title: 'OUT', isNumber: true, of: (session) => String(session.delivered_messages) },
];

const eventColumns: readonly Column<EventJson>[] = [
  { title: 'TIME', of: (event) => new Date(event.at_ms).toISOString() },
  { title: 'CLIENT ID', of: (event) => printable(event.client_id) || '-' },
  { title: 'WHAT', of: (event) => event.kind },
  { title: 'REASON', of: (event) => printable(event.reason) || '-' },
  { title: 'BY', of: (event) => event.by || '-' },
  {
    title: 'EDGE',
    of: ({ edge_id, gateway_id }) =>
      printable(gateway_id === '' ? edge_id : `${edge_id}/${gateway_id}`),
  },
  { title: 'ADDRESS', of: (event) => printable(event.remote_address) || '-' },
];

const green = '32';
const grey = '90';
const bold = '1';
const red = '31';

const eventColours = new Map([
  ['added', green],
  ['removed', red],
  ['snapshot', grey],
]);

export class SessionsText {
  readonly #isColoured: boolean;

  constructor(options: { isColoured: boolean }) {
    this.#isColoured = options.isColoured;
  }

  table(sessions: readonly SessionJson[]): string {
    const [titles = '', ...rows] = tableLines(columns, sessions);
    const lines = [this.#paint(bold, titles)];
    for (const [index, text] of rows.entries()) {
      lines.push(sessions[index]?.state === 'connected' ? text : this.#paint(grey, text));
    }
    return `${lines.join('\n')}\n`;
  }

  /** Nothing but the named fields. */
  fields(names: readonly string[], sessions: readonly SessionJson[]): string {
    const shownOf = (name: string) => (session: SessionJson) => {
      const value = (session as unknown as Record<string, unknown>)[name];
      return Array.isArray(value)
        ? value.map(({ filter }: { filter: string }) => printable(filter)).join(' ')
        : shown(name, value ?? '') || '-';
    };
    const chosen = names.map((name) => ({ title: name.toUpperCase(), of: shownOf(name) }));
    const [titles = '', ...rows] = tableLines(chosen, sessions);
    return `${[this.#paint(bold, titles), ...rows].join('\n')}\n`;
  }

  groups({ group_by, aggregates, groups }: GroupPageJson): string {
    type Row = GroupPageJson['groups'][number];
    const chosen: Column<Row>[] = [
      ...group_by.map((name, index) => ({
        title: name.toUpperCase(),
        of: ({ keys }: Row) => printable(keys[index] ?? '') || '-',
      })),
      { title: 'COUNT', isNumber: true, of: ({ count }: Row) => String(count) },
      ...aggregates.map((name, index) => ({
        title: name.toUpperCase(),
        isNumber: true,
        of: ({ values }: Row) => String(Number((values[index] ?? 0).toFixed(3))),
      })),
    ];
    const [titles = '', ...rows] = tableLines(chosen, groups);
    return `${[this.#paint(bold, titles), ...rows].join('\n')}\n`;
  }

  /** What happened, a line each. */
  events(events: readonly EventJson[]): string {
    const [titles = '', ...rows] = tableLines(eventColumns, events);
    const lines = rows.map((text, index) => {
      const kind = events[index]?.kind ?? '';
      return kind === 'connected' ? this.#paint(green, text) : text;
    });
    return `${[this.#paint(bold, titles), ...lines].join('\n')}\n`;
  }

  /** All that is known of one session, a line each. */
  details(session: SessionJson): string {
    const { subscriptions, ...rest } = session;
    const rows = Object.entries(rest).map(([name, value]) => [name, shown(name, value)] as const);
    const width = Math.max(...rows.map(([name]) => name.length));
    const lines = rows
      .filter(([, text]) => text !== '')
      .map(([name, text]) => `${this.#paint(bold, name.padEnd(width))}  ${text}`);
    for (const { filter, qos } of subscriptions) {
      const title = this.#paint(bold, 'subscription'.padEnd(width));
      lines.push(`${title}  ${printable(filter)} (QoS ${qos})`);
    }
    return `${lines.join('\n')}\n`;
  }

  /** Of the session there may be no more than what was asked for. */
  event(name: string, session: Partial<SessionJson>): string {
    const parts = [
      this.#paint(eventColours.get(name) ?? bold, name.padEnd(8)),
      printable(session.client_id ?? ''),
      // What a session was before it ended would read as if it still were.
      name === 'removed' ? 'ended' : (session.state ?? ''),
      printable(edgeOf(session)),
      printable(session.protocol ?? ''),
      printable(session.remote_address ?? '') || '-',
    ];
    const { disconnect_reason: reason = '' } = session;
    if (session.state === 'kept' && reason !== '') parts.push(`(${printable(reason)})`);
    return `${parts.join('  ')}\n`;
  }

  #paint(code: string, text: string): string {
    return this.#isColoured ? `\u001b[${code}m${text}\u001b[0m` : text;
  }
}

function edgeOf({ edge_id = '', gateway_id = '' }: Partial<SessionJson>): string {
  return gateway_id === '' ? edge_id : `${edge_id}/${gateway_id}`;
}

function shown(name: string, value: unknown): string {
  if (typeof value === 'string') return printable(value);
  if (typeof value === 'object' && value !== null) {
    return Object.entries(value)
      .map(([key, count]) => `${printable(key)} ${String(count)}`)
      .join(', ');
  }
  if (!name.endsWith('_at_ms')) return String(value);
  return value === 0 ? '' : new Date(Number(value)).toISOString();
}

/** Sessions as people read them: a table, one session's lines, one line per event. */
import type { SessionJson } from '../core/http/session-json.ts';
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

  event(name: string, session: SessionJson): string {
    const parts = [
      this.#paint(eventColours.get(name) ?? bold, name.padEnd(8)),
      printable(session.client_id),
      // What a session was before it ended would read as if it still were.
      name === 'removed' ? 'ended' : session.state,
      printable(edgeOf(session)),
      printable(session.protocol),
      printable(session.remote_address) || '-',
    ];
    const { disconnect_reason: reason } = session;
    if (session.state === 'kept' && reason !== '') parts.push(`(${printable(reason)})`);
    return `${parts.join('  ')}\n`;
  }

  #paint(code: string, text: string): string {
    return this.#isColoured ? `\u001b[${code}m${text}\u001b[0m` : text;
  }
}

function edgeOf(session: SessionJson): string {
  return session.gateway_id === '' ? session.edge_id : `${session.edge_id}/${session.gateway_id}`;
}

function shown(name: string, value: string | number | boolean): string {
  if (typeof value === 'string') return printable(value);
  if (!name.endsWith('_at_ms')) return String(value);
  return value === 0 ? '' : new Date(Number(value)).toISOString();
}

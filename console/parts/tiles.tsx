/** The fleet in six numbers. */
import { count, rate } from '../format.ts';
import type { FleetView } from '../state/fleet-feed.ts';

interface Tile {
  readonly name: string;
  readonly value: string;
  readonly note: string;
  readonly tone?: 'in' | 'out' | 'warn';
}

export function Tiles({ view }: { view: FleetView }) {
  const isKnown = view.asOfMs > 0;
  return (
    <section class="tiles" aria-label="Overview">
      {tilesOf(view).map(({ name, value, note, tone }) => (
        <div key={name} class={`tile ${tone ?? ''}`}>
          <h2>{name}</h2>
          <p class="value">{isKnown ? value : '–'}</p>
          <p class="note">{isKnown ? note : '\u00a0'}</p>
        </div>
      ))}
    </section>
  );
}

function tilesOf(view: FleetView): Tile[] {
  const { edges } = view;
  const attached = edges.filter((edge) => edge.connected).length;
  const total = (of: (edge: (typeof edges)[number]) => number) =>
    edges.reduce((sum, edge) => sum + of(edge), 0);
  const atEdges = total((edge) => edge.connected_session_count);
  const atGateways = Math.max(0, view.connectedSessions - atEdges);
  const dropped = total((edge) => edge.dropped_messages);
  const isShort = attached < edges.length || edges.length === 0;
  return [
    {
      name: 'Connected sessions',
      value: count(view.connectedSessions),
      note: atGateways > 0 ? `${count(atGateways)} behind gateways` : 'all at edges',
    },
    {
      name: 'Kept sessions',
      value: count(view.keptSessions),
      note: 'held while away',
    },
    {
      name: 'Edges attached',
      value: count(attached),
      note: `of ${count(edges.length)} known`,
      ...(isShort ? { tone: 'warn' } : {}),
    },
    {
      name: 'Messages in',
      value: `${rate(total((edge) => edge.received_rate))}/s`,
      note: `${count(total((edge) => edge.received_messages))} at edges`,
      tone: 'in',
    },
    {
      name: 'Messages out',
      value: `${rate(total((edge) => edge.delivered_rate))}/s`,
      note: `${count(total((edge) => edge.delivered_messages))} at edges`,
      tone: 'out',
    },
    {
      name: 'Dropped',
      value: count(dropped),
      note:
        view.droppedSince > 0
          ? `${count(view.droppedSince)} while watching`
          : 'none while watching',
      ...(view.droppedSince > 0 ? { tone: 'warn' } : {}),
    },
  ];
}

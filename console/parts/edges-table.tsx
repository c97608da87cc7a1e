/** Every edge that the core knows, attached or away. */
import type { Edge } from '../api/types.ts';
import { bytes, count, rate, roundTrip, span } from '../format.ts';
import type { FleetView } from '../state/fleet-feed.ts';

/** An edge reports every two seconds; past this an attached one is worth a look. */
const overdueMs = 10_000;

export function EdgesTable({ view }: { view: FleetView }) {
  return (
    <section class="panel" aria-labelledby="edges-title">
      <div class="panel-head">
        <h2 id="edges-title">Edges</h2>
      </div>
      {view.edges.length === 0 ? <NoEdges phase={view.phase} /> : <Table view={view} />}
    </section>
  );
}

function NoEdges({ phase }: { phase: FleetView['phase'] }) {
  if (phase !== 'answering') return <p class="empty">Nothing heard from the core yet.</p>;
  return (
    <p class="empty">
      No edge has attached yet. Start one with <code>trunkline edge --edge-cores HOST:7400</code>.
    </p>
  );
}

function Table({ view }: { view: FleetView }) {
  return (
    <div class="scroll">
      <table>
        <thead>
          <tr>
            <th scope="col">Edge</th>
            <th scope="col">State</th>
            <th scope="col" class="number">
              Sessions
            </th>
            <th scope="col" class="number">
              In/s
            </th>
            <th scope="col" class="number">
              Out/s
            </th>
            <th scope="col" class="number">
              Backlog
            </th>
            <th scope="col" class="number">
              Spool
            </th>
            <th scope="col" class="number">
              Dropped
            </th>
            <th scope="col" class="number">
              Round trip
            </th>
            <th scope="col" class="number">
              Last heard
            </th>
          </tr>
        </thead>
        <tbody>
          {view.edges.map((edge) => (
            <Row key={edge.edge_id} edge={edge} nowMs={view.asOfMs} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Row({ edge, nowMs }: { edge: Edge; nowMs: number }) {
  const silentMs = nowMs - edge.last_heard_at_ms;
  const tone = edge.connected ? (silentMs > overdueMs ? 'warn' : 'good') : 'bad';
  const kept = edge.session_count - edge.connected_session_count;
  return (
    <tr class={edge.connected ? '' : 'away'}>
      <th scope="row">
        <span class="id">{edge.edge_id}</span>
        <span class="sub">{edge.region}</span>
      </th>
      <td>
        <span class="state">
          <span class={`dot ${tone}`} aria-hidden="true" />
          {edge.connected ? 'attached' : 'away'}
        </span>
      </td>
      <td class="number">
        {count(edge.connected_session_count)}
        {kept > 0 && <span class="sub">{count(kept)} kept</span>}
      </td>
      <td class="number">{edge.connected ? rate(edge.received_rate) : '–'}</td>
      <td class="number">{edge.connected ? rate(edge.delivered_rate) : '–'}</td>
      <td class="number">{count(edge.backlog_messages)}</td>
      <td class="number">{bytes(edge.spool_bytes)}</td>
      <td class="number">{count(edge.dropped_messages)}</td>
      <td class="number">{edge.connected ? roundTrip(edge.round_trip_us) : '–'}</td>
      <td class="number">{silentMs < 3_000 ? 'now' : `${span(silentMs)} ago`}</td>
    </tr>
  );
}

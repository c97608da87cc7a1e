/** Rows of sessions; a row's name opens its details. */
import type { Session } from '../api/types.ts';
import { count, span } from '../format.ts';

export interface SessionsTableProps {
  readonly rows: readonly Session[];
  readonly onOpen: (clientId: string) => void;
}

export function SessionsTable({ rows, onOpen }: SessionsTableProps) {
  const nowMs = Date.now();
  return (
    <div class="scroll">
      <table class="sessions">
        <thead>
          <tr>
            <th scope="col">Client</th>
            <th scope="col">State</th>
            <th scope="col" class="number">
              For
            </th>
            <th scope="col">Held by</th>
            <th scope="col" class="wide">
              Protocol
            </th>
            <th scope="col" class="wide">
              Address
            </th>
            <th scope="col" class="number">
              Filters
            </th>
            <th scope="col" class="number">
              Queue
            </th>
            <th scope="col" class="number">
              In
            </th>
            <th scope="col" class="number">
              Out
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <Row key={row.client_id} row={row} nowMs={nowMs} onOpen={onOpen} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Row({
  row,
  nowMs,
  onOpen,
}: { row: Session; nowMs: number } & Omit<SessionsTableProps, 'rows'>) {
  const isConnected = row.state === 'connected';
  const since = isConnected ? row.connected_at_ms : row.disconnected_at_ms;
  return (
    <tr>
      <th scope="row">
        <button type="button" class="id link" onClick={() => onOpen(row.client_id)}>
          {row.client_id}
        </button>
      </th>
      <td>
        <span class="state">
          <span class={`dot ${isConnected ? 'good' : 'warn'}`} aria-hidden="true" />
          {row.state}
        </span>
      </td>
      <td class="number">{since === 0 ? '–' : span(nowMs - since)}</td>
      <td>{row.gateway_id === '' ? row.edge_id : row.gateway_id}</td>
      <td class="wide">{protocolText(row)}</td>
      <td class="wide id">{row.remote_address}</td>
      <td class="number">{count(row.subscription_count)}</td>
      <td class="number">{count(row.queue_messages)}</td>
      <td class="number">{count(row.received_messages)}</td>
      <td class="number">{count(row.delivered_messages)}</td>
    </tr>
  );
}

export function protocolText({ protocol, listener }: Session): string {
  if (protocol === 'grpc') return 'gRPC';
  return listener === 'mqtt' ? `MQTT ${protocol}` : `MQTT ${protocol}, ${listener}`;
}

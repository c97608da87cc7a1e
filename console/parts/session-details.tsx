/** Everything about one session, in a dialog; asked anew each second while it is open. */
import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { CoreApi } from '../api/core-api.ts';
import type { Session } from '../api/types.ts';
import { bytes, count, dateTime, rate, roundTrip } from '../format.ts';
import { SessionStory } from './session-story.tsx';
import { protocolText } from './sessions-table.tsx';

const askMs = 1_000;

export interface SessionDetailsProps {
  readonly api: CoreApi;
  readonly clientId: string;
  readonly onClose: () => void;
}

export function SessionDetails({ api, clientId, onClose }: SessionDetailsProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const { session, fault } = useSession(api, clientId);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} class="details" aria-labelledby="details-title" onClose={onClose}>
      <div class="panel-head">
        <h2 id="details-title" class="id">
          {clientId}
        </h2>
        <button type="button" onClick={() => dialog.current?.close()}>
          Close
        </button>
      </div>
      {fault !== '' && (
        <p class="notice warn" role="status">
          {fault}
        </p>
      )}
      {session !== null && <Facts session={session} />}
      <SessionStory api={api} clientId={clientId} />
    </dialog>
  );
}

function useSession(api: CoreApi, clientId: string): { session: Session | null; fault: string } {
  const [session, setSession] = useState<Session | null>(null);
  const [fault, setFault] = useState('');
  useEffect(() => {
    const aborter = new AbortController();
    const ask = async () => {
      try {
        setSession(await api.session(clientId, aborter.signal));
        setFault('');
      } catch (error) {
        if (!aborter.signal.aborted) setFault(error instanceof Error ? error.message : `${error}`);
      }
    };
    void ask();
    const timer = setInterval(() => void ask(), askMs);
    return () => {
      clearInterval(timer);
      aborter.abort();
    };
  }, [api, clientId]);
  return { session, fault };
}

function Facts({ session }: { session: Session }) {
  const held = session.gateway_id === '' ? session.edge_id : `gateway ${session.gateway_id}`;
  return (
    <>
      <dl class="facts">
        <Fact name="State">{session.state}</Fact>
        <Fact name="Held by">{[held, session.region].filter(Boolean).join(', ')}</Fact>
        <Fact name="Protocol">{protocolText(session)}</Fact>
        <Fact name="Address">{session.remote_address || '–'}</Fact>
        <Fact name="User">{session.username || 'anonymous'}</Fact>
        <Fact name="Clean start">{session.clean_start ? 'yes' : 'no, session is kept'}</Fact>
        <Fact name="Authenticated by">{session.auth_method || '–'}</Fact>
        <Fact name="Keep alive">{keepAliveText(session)}</Fact>
        <Fact name="Round trip">{roundTrip(session.round_trip_us)}</Fact>
        <Fact name="Connections">{count(session.connection_count)}</Fact>
        <Fact name="Connected">{dateTime(session.connected_at_ms)}</Fact>
        {session.state === 'kept' && (
          <Fact name="Disconnected">
            {`${dateTime(session.disconnected_at_ms)} (${session.disconnect_reason || 'no reason'})`}
          </Fact>
        )}
        <Fact name="Messages in">{flowText(session.received_messages, session.received_rate)}</Fact>
        <Fact name="Messages out">
          {flowText(session.delivered_messages, session.delivered_rate)}
        </Fact>
        <Fact name="Bytes in, out">
          {`${bytes(session.received_bytes)}, ${bytes(session.sent_bytes)}`}
        </Fact>
        <Fact name="Dropped">{count(session.dropped_messages)}</Fact>
        <Fact name="Queue">{`${count(session.queue_messages)}, ${bytes(session.queue_bytes)}`}</Fact>
        <Fact name="In flight">{count(session.inflight_messages)}</Fact>
      </dl>
      <Subscriptions session={session} />
    </>
  );
}

function keepAliveText(session: Session): string {
  const { keep_alive_seconds: seconds, keep_alive_margin_ms: margin } = session;
  return margin === 0 ? `${seconds} s` : `${seconds} s, ${rate(margin / 1_000)} s to spare`;
}

function flowText(messages: number, perSecond: number): string {
  return perSecond === 0 ? count(messages) : `${count(messages)}, ${rate(perSecond)}/s`;
}

function Fact({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function Subscriptions({ session }: { session: Session }) {
  const { subscriptions, subscription_count: total } = session;
  const more = total - subscriptions.length;
  return (
    <>
      <h3>Subscriptions</h3>
      {total === 0 && <p class="empty">None.</p>}
      <ul class="filters">
        {subscriptions.map(({ filter, qos }) => (
          <li key={filter}>
            <span class="id">{filter}</span> <span class="sub">QoS {qos}</span>
          </li>
        ))}
      </ul>
      {more > 0 && <p class="sub">and {count(more)} more</p>}
    </>
  );
}

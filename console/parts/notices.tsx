/** What is wrong now, above everything else. */
import { useEffect, useState } from 'preact/hooks';
import type { FleetView } from '../state/fleet-feed.ts';

export function Notices({ view }: { view: FleetView }) {
  const reasons = view.readiness?.reasons ?? [];
  return (
    <>
      {view.phase === 'silent' && (
        <p class="notice bad" role="alert">
          {view.fault.replace(/\.$/, '')}; trying again in <Countdown key={view.history} /> s.
          {view.asOfMs > 0 && ' What stands below is the last that was heard.'}
        </p>
      )}
      {view.phase === 'answering' && reasons.length > 0 && (
        <p class="notice warn">The core is not ready: {reasons.join('; ')}.</p>
      )}
      {view.silentEdges.length > 0 && (
        <p class="notice warn">
          {view.silentEdges.length === 1 ? 'Edge ' : 'Edges '}
          <strong>{view.silentEdges.join(', ')}</strong>
          {view.silentEdges.length === 1 ? ' is' : ' are'} not reporting: those sessions are shown
          as last known.
        </p>
      )}
    </>
  );
}

const retrySeconds = 3;

/** Seconds until the next try, from the moment it is shown. */
function Countdown() {
  const [left, setLeft] = useState(retrySeconds);
  useEffect(() => {
    const timer = setInterval(() => setLeft((before) => Math.max(1, before - 1)), 1_000);
    return () => clearInterval(timer);
  }, []);
  return <span aria-hidden="true">{left}</span>;
}

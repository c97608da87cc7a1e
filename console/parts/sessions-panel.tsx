/** Sessions: a filter, the rows that match, pages, and whether the rows are live. */
import { useState } from 'preact/hooks';
import type { CoreApi } from '../api/core-api.ts';
import { count } from '../format.ts';
import { useFeed } from '../state/feed.ts';
import { SessionFeed, type SessionView } from '../state/session-feed.ts';
import { FilterBox } from './filter-box.tsx';
import { SessionDetails } from './session-details.tsx';
import { SessionsTable } from './sessions-table.tsx';

export function SessionsPanel({ api }: { api: CoreApi }) {
  const [feed] = useState(() => new SessionFeed(api));
  const view = useFeed(feed);
  const [shownId, setShownId] = useState<string | null>(null);
  return (
    <section class="panel" aria-labelledby="sessions-title">
      <div class="panel-head">
        <h2 id="sessions-title">
          Sessions <span class="badge">{count(view.total)}</span>
        </h2>
        <Liveness phase={view.phase} hasFault={view.filterFault !== ''} />
      </div>
      <FilterBox
        filter={view.filter}
        fault={view.filterFault}
        onFilter={(filter) => feed.filterBy(filter)}
      />
      {view.rows.length === 0 ? (
        <NoSessions view={view} />
      ) : (
        <SessionsTable rows={view.rows} onOpen={setShownId} />
      )}
      <Pages feed={feed} view={view} />
      {shownId !== null && (
        <SessionDetails
          key={shownId}
          api={api}
          clientId={shownId}
          onClose={() => setShownId(null)}
        />
      )}
    </section>
  );
}

function Liveness({ phase, hasFault }: { phase: SessionView['phase']; hasFault: boolean }) {
  const texts = {
    loading: { tone: 'idle', text: 'Loading' },
    live: { tone: 'good', text: 'Live' },
    asking: { tone: 'idle', text: 'Every 3 s; a filter that fewer match is live' },
    lost: { tone: 'bad', text: 'Reconnecting' },
  } as const;
  const { tone, text } = hasFault ? { tone: 'warn', text: 'Filter refused' } : texts[phase];
  return (
    <p class="health" role="status">
      <span class={`dot ${tone}`} aria-hidden="true" />
      {text}
    </p>
  );
}

function NoSessions({ view }: { view: SessionView }) {
  if (view.filterFault !== '') return null;
  if (view.phase === 'loading') return <p class="empty">Loading sessions.</p>;
  if (view.filter !== '') return <p class="empty">No session matches this filter.</p>;
  return (
    <p class="empty">
      No device has connected yet. Try <code>trunkline devices simulate</code>.
    </p>
  );
}

function Pages({ feed, view }: { feed: SessionFeed; view: SessionView }) {
  if (view.pageNumber === 1 && !view.hasNext) return null;
  return (
    <nav class="pages" aria-label="Pages of sessions">
      <button type="button" disabled={view.pageNumber === 1} onClick={() => feed.previousPage()}>
        Previous
      </button>
      <span>Page {count(view.pageNumber)}</span>
      <button type="button" disabled={!view.hasNext} onClick={() => feed.nextPage()}>
        Next
      </button>
    </nav>
  );
}

/** Sessions: a filter, the rows that match, pages, and whether the rows are live. */
import { useEffect, useState } from 'preact/hooks';
import type { CoreApi } from '../api/core-api.ts';
import { count } from '../format.ts';
import { noteShown, shownNow } from '../state/address.ts';
import { useFeed } from '../state/feed.ts';
import { isSame } from '../state/saved-queries.ts';
import { SessionFeed, type SessionView } from '../state/session-feed.ts';
import { FilterBox } from './filter-box.tsx';
import { OrderBox } from './order-box.tsx';
import { SavedQueries } from './saved-queries.tsx';
import { SessionDetails } from './session-details.tsx';
import { SessionsTable } from './sessions-table.tsx';

export function SessionsPanel({ api }: { api: CoreApi }) {
  const [feed] = useState(() => new SessionFeed(api, shownNow()));
  const view = useFeed(feed);
  const [device, setDevice] = useState(() => shownNow().device);
  const { filter, orderBy } = view;
  useEffect(() => noteShown({ filter, orderBy, device }), [filter, orderBy, device]);
  useEffect(() => followAddress(feed, setDevice), [feed]);
  return (
    <section class="panel" aria-labelledby="sessions-title">
      <div class="panel-head">
        <h2 id="sessions-title">
          Sessions <span class="badge">{count(view.total)}</span>
        </h2>
        <Liveness phase={view.phase} hasFault={view.filterFault !== ''} />
      </div>
      <FilterBox
        filter={filter}
        fault={view.filterFault}
        onFilter={(wanted) => feed.ask({ filter: wanted, orderBy })}
      >
        <OrderBox orderBy={orderBy} onOrder={(wanted) => feed.ask({ filter, orderBy: wanted })} />
        <SavedQueries
          query={{ filter, orderBy }}
          isRefused={view.filterFault !== ''}
          onPick={(query) => feed.ask(query)}
        />
      </FilterBox>
      {view.rows.length === 0 ? (
        <NoSessions view={view} />
      ) : (
        <SessionsTable rows={view.rows} onOpen={setDevice} />
      )}
      <Pages feed={feed} view={view} />
      {device !== '' && (
        <SessionDetails key={device} api={api} clientId={device} onClose={() => setDevice('')} />
      )}
    </section>
  );
}

/** An address that was typed or pasted into the open page. */
function followAddress(feed: SessionFeed, open: (device: string) => void): () => void {
  const follow = () => {
    const { device, ...query } = shownNow();
    if (!isSame(query, feed.view)) feed.ask(query);
    open(device);
  };
  addEventListener('hashchange', follow);
  return () => removeEventListener('hashchange', follow);
}

function Liveness({ phase, hasFault }: { phase: SessionView['phase']; hasFault: boolean }) {
  const texts = {
    loading: { tone: 'idle', text: 'Loading' },
    live: { tone: 'good', text: 'Live' },
    asking: { tone: 'idle', text: 'Every 3 s; few sessions by name are live' },
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

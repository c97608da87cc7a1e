/** The whole page: header, notices, overview, rates, edges, sessions; or the door, when locked. */
import { useState } from 'preact/hooks';
import { CoreApi } from './api/core-api.ts';
import { EdgesTable } from './parts/edges-table.tsx';
import { Header } from './parts/header.tsx';
import { Notices } from './parts/notices.tsx';
import { RatePanel } from './parts/rate-panel.tsx';
import { SessionsPanel } from './parts/sessions-panel.tsx';
import { Tiles } from './parts/tiles.tsx';
import { TokenPrompt } from './parts/token-prompt.tsx';
import { TrunksPanel } from './parts/trunks-panel.tsx';
import { useFeed } from './state/feed.ts';
import { FleetFeed } from './state/fleet-feed.ts';

const api = new CoreApi();

export function App() {
  const [fleet] = useState(() => new FleetFeed(api));
  const view = useFeed(fleet);
  const unlock = (token: string) => {
    api.setToken(token);
    fleet.open();
  };
  return (
    <>
      <Header view={view} />
      {view.phase === 'locked' ? (
        <TokenPrompt isWrong={api.hasToken} onToken={unlock} />
      ) : (
        <main>
          <Notices view={view} />
          <Tiles view={view} />
          <RatePanel history={view.history} />
          <EdgesTable view={view} />
          <TrunksPanel trunks={view.trunks} />
          <SessionsPanel api={api} />
        </main>
      )}
    </>
  );
}

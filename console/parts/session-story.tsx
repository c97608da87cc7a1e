/** What happened to one device: why it lost its connection, and its last days as a timeline. */
import { useEffect, useState } from 'preact/hooks';
import type { CoreApi } from '../api/core-api.ts';
import type { SessionEvent } from '../api/types.ts';
import { dateTime, span } from '../format.ts';

const askMs = 5_000;

export interface SessionStoryProps {
  readonly api: CoreApi;
  readonly clientId: string;
}

interface Story {
  readonly answer: string;
  readonly events: readonly SessionEvent[];
  /** Older ones are there, or were. */
  readonly keptSinceMs: number;
}

export function SessionStory({ api, clientId }: SessionStoryProps) {
  const [when, setWhen] = useState('');
  const { story, fault } = useStory(api, clientId, when);
  return (
    <section aria-label="Story">
      <h3>What happened</h3>
      <label class="when">
        Why was it gone at{' '}
        <input
          type="datetime-local"
          step="1"
          value={when}
          onInput={(event) => setWhen(event.currentTarget.value)}
        />
      </label>
      {fault !== '' && <p class="empty">{fault}</p>}
      {story !== null && (
        <>
          <p class="answer" role="status">
            {story.answer}
          </p>
          <ol class="timeline">
            {story.events.map((event) => (
              <Happening key={`${event.at_ms} ${event.kind} ${event.edge_id}`} event={event} />
            ))}
          </ol>
          <p class="sub">Kept since {dateTime(story.keptSinceMs)}.</p>
        </>
      )}
    </section>
  );
}

function Happening({ event }: { event: SessionEvent }) {
  const { kind, reason, by, connected_ms: connectedMs } = event;
  const tone = kind === 'connected' ? 'good' : kind === 'refused' ? 'bad' : 'warn';
  const told = [
    reason,
    by === '' ? '' : `by ${by}`,
    connectedMs > 0 ? `after ${span(connectedMs)}` : '',
    event.gateway_id === '' ? `at ${event.edge_id}` : `at ${event.edge_id}/${event.gateway_id}`,
    event.remote_address === '' ? '' : `from ${event.remote_address}`,
  ];
  return (
    <li>
      <time dateTime={new Date(event.at_ms).toISOString()}>{dateTime(event.at_ms)}</time>
      <span class="state">
        <span class={`dot ${tone}`} aria-hidden="true" />
        {kind}
      </span>
      <span class="told">{told.filter(Boolean).join(', ')}</span>
    </li>
  );
}

function useStory(
  api: CoreApi,
  clientId: string,
  when: string,
): { story: Story | null; fault: string } {
  const [story, setStory] = useState<Story | null>(null);
  const [fault, setFault] = useState('');
  useEffect(() => {
    const aborter = new AbortController();
    const { signal } = aborter;
    // The field has the reader's own time of day.
    const at = when === '' ? '' : new Date(when).toISOString();
    const ask = async () => {
      try {
        const [told, page] = await Promise.all([
          api.why({ clientId, at }, signal),
          api.history(clientId, signal),
        ]);
        setStory({ answer: told.answer, events: page.events, keptSinceMs: page.kept_since_ms });
        setFault('');
      } catch (error) {
        if (!signal.aborted) setFault(error instanceof Error ? error.message : `${error}`);
      }
    };
    void ask();
    const timer = setInterval(() => void ask(), askMs);
    return () => {
      clearInterval(timer);
      aborter.abort();
    };
  }, [api, clientId, when]);
  return { story, fault };
}

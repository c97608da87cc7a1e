/** Name of the page, how the core is, and as of when. */
import { timeOfDay } from '../format.ts';
import type { FleetView } from '../state/fleet-feed.ts';

export function Header({ view }: { view: FleetView }) {
  const { tone, text } = health(view);
  return (
    <header class="top">
      <h1>
        <Mark />
        Trunkline
      </h1>
      <p class="health" role="status">
        <span class={`dot ${tone}`} aria-hidden="true" />
        {text}
      </p>
      {view.asOfMs > 0 && (
        <p class="as-of">
          <span class="wide">as of </span>
          <time dateTime={new Date(view.asOfMs).toISOString()}>{timeOfDay(view.asOfMs)}</time>
        </p>
      )}
    </header>
  );
}

function Mark() {
  return (
    <svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
      <path d="M3 7c9 0 7 9 15 9M3 25c9 0 7-9 15-9M3 16h24" />
      <circle cx="28" cy="16" r="3" />
    </svg>
  );
}

function health(view: FleetView): { tone: string; text: string } {
  switch (view.phase) {
    case 'loading':
      return { tone: 'idle', text: 'Connecting' };
    case 'locked':
      return { tone: 'warn', text: 'Locked' };
    case 'silent':
      return { tone: 'bad', text: 'No answer' };
    case 'answering': {
      if (view.readiness?.isReady === true) return { tone: 'good', text: 'Ready' };
      return { tone: 'warn', text: 'Not ready' };
    }
  }
}

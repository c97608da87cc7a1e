/** Queries that were kept, to be asked again with one press; and those to try. */
import { useState } from 'preact/hooks';
import { forget, isSame, type SavedQuery, save, savedQueries } from '../state/saved-queries.ts';

const examples: readonly SavedQuery[] = [
  { filter: 'state = connected', orderBy: '' },
  { filter: 'state = kept', orderBy: '' },
  { filter: 'client_id = meter-*', orderBy: '' },
  { filter: 'queue_messages > 100 OR dropped_messages > 0', orderBy: '' },
  { filter: 'state = kept AND disconnected_for < 1h', orderBy: '' },
];

const none: SavedQuery = { filter: '', orderBy: '' };

export interface SavedQueriesProps {
  /** The one in force. */
  readonly query: SavedQuery;
  readonly isRefused: boolean;
  readonly onPick: (query: SavedQuery) => void;
}

export function SavedQueries({ query, isRefused, onPick }: SavedQueriesProps) {
  const [saved, setSaved] = useState(savedQueries);
  const known = [...examples, ...saved, none];
  const isNew = !isRefused && !known.some((one) => isSame(one, query));
  const pick = (one: SavedQuery) => onPick(isSame(one, query) ? none : one);
  return (
    <div class="queries">
      <ul class="examples" aria-label="Filters to try">
        {examples.map((one) => (
          <li key={one.filter}>
            <Chip query={one} isPressed={isSame(one, query)} onPick={pick} />
          </li>
        ))}
      </ul>
      <ul class="examples" aria-label="Saved queries">
        {saved.map((one) => (
          <li key={titleOf(one)} class="saved">
            <Chip query={one} isPressed={isSame(one, query)} onPick={pick} />
            <button
              type="button"
              class="forget"
              aria-label={`Forget ${titleOf(one)}`}
              onClick={() => setSaved(forget(one))}
            >
              ×
            </button>
          </li>
        ))}
        {isNew && (
          <li>
            <button type="button" class="keep" onClick={() => setSaved(save(query))}>
              Save this query
            </button>
          </li>
        )}
      </ul>
    </div>
  );
}

function Chip({
  query,
  isPressed,
  onPick,
}: {
  query: SavedQuery;
  isPressed: boolean;
  onPick: (query: SavedQuery) => void;
}) {
  return (
    <button type="button" aria-pressed={isPressed} onClick={() => onPick(query)}>
      {titleOf(query)}
    </button>
  );
}

function titleOf({ filter, orderBy }: SavedQuery): string {
  const order = orderBy === '' ? '' : `by ${orderBy}`;
  return [filter, order].filter(Boolean).join(', ');
}

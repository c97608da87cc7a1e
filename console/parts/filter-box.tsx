/** The filter in the core's own language, applied a moment after the last key or at once by Enter. */
import { useEffect, useRef, useState } from 'preact/hooks';

const quietMs = 350;

const examples = ['state = connected', 'state = kept', 'client_id = meter-*'] as const;

export interface FilterBoxProps {
  /** The filter in force. */
  readonly filter: string;
  readonly fault: string;
  readonly onFilter: (filter: string) => void;
}

export function FilterBox({ filter, fault, onFilter }: FilterBoxProps) {
  const [text, setText] = useState(filter);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  useEffect(() => () => clearTimeout(timer.current), []);
  const apply = (wanted: string) => {
    clearTimeout(timer.current);
    setText(wanted);
    if (wanted.trim() !== filter) onFilter(wanted.trim());
  };
  const typed = (wanted: string) => {
    setText(wanted);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => apply(wanted), quietMs);
  };
  return (
    <search>
      <form
        class="filter"
        onSubmit={(event) => {
          event.preventDefault();
          apply(text);
        }}
      >
        <label class="hidden" for="filter">
          Filter sessions
        </label>
        <input
          id="filter"
          type="search"
          value={text}
          placeholder="Filter, such as: state = connected AND client_id = meter-*"
          spellcheck={false}
          autocomplete="off"
          autocapitalize="off"
          aria-invalid={fault !== ''}
          aria-describedby="filter-fault"
          onInput={(event) => typed(event.currentTarget.value)}
        />
        <Examples filter={filter} onPick={apply} />
        <p id="filter-fault" class="fault" role="alert">
          {fault}
        </p>
      </form>
    </search>
  );
}

function Examples({ filter, onPick }: { filter: string; onPick: (filter: string) => void }) {
  return (
    <ul class="examples" aria-label="Filters to try">
      {examples.map((example) => (
        <li key={example}>
          <button
            type="button"
            aria-pressed={filter === example}
            onClick={() => onPick(filter === example ? '' : example)}
          >
            {example}
          </button>
        </li>
      ))}
    </ul>
  );
}

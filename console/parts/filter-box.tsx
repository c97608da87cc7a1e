/** The filter in the core's own language, applied a moment after the last key or at once by Enter. */
import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';

const quietMs = 350;

export interface FilterBoxProps {
  /** The filter in force. */
  readonly filter: string;
  readonly fault: string;
  readonly onFilter: (filter: string) => void;
  /** Stands below the field. */
  readonly children: ComponentChildren;
}

export function FilterBox({ filter, fault, onFilter, children }: FilterBoxProps) {
  const [text, setText] = useState(filter);
  // Also set by a query that was picked.
  useEffect(() => setText(filter), [filter]);
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
        {children}
        <p id="filter-fault" class="fault" role="alert">
          {fault}
        </p>
      </form>
    </search>
  );
}

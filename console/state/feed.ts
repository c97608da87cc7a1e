/** A view that changes with time and tells its one listener; parts of the page read it by a hook. */
import { useEffect, useState } from 'preact/hooks';

export class Feed<V> {
  #view: V;
  #listener: ((view: V) => void) | null = null;

  constructor(first: V) {
    this.#view = first;
  }

  get view(): V {
    return this.#view;
  }

  listen(listener: (view: V) => void): () => void {
    this.#listener = listener;
    return () => {
      this.#listener = null;
    };
  }

  protected show(change: Partial<V>): void {
    this.#view = { ...this.#view, ...change };
    this.#listener?.(this.#view);
  }
}

/** The feed's view, again each time it changes; opened with the part and closed with it. */
export function useFeed<V>(feed: Feed<V> & { open(): void; close(): void }): V {
  const [view, setView] = useState(feed.view);
  useEffect(() => {
    const forget = feed.listen(setView);
    feed.open();
    return () => {
      forget();
      feed.close();
    };
  }, [feed]);
  return view;
}

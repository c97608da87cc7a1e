/** What the page shows, in its own address: to be sent to others, and to come back to. */

export interface Shown {
  readonly filter: string;
  /** Empty: by client identifier. */
  readonly orderBy: string;
  /** Empty: none is open. */
  readonly device: string;
}

export function shownNow(): Shown {
  const given = new URLSearchParams(location.hash.slice(1));
  const text = (name: string) => given.get(name) ?? '';
  return { filter: text('filter'), orderBy: text('order'), device: text('device') };
}

export function noteShown({ filter, orderBy, device }: Shown): void {
  const named = { filter, order: orderBy, device };
  const search = new URLSearchParams(Object.entries(named).filter(([, text]) => text !== ''));
  const hash = search.size === 0 ? '' : `#${search}`;
  if (hash !== location.hash) history.replaceState(null, '', `${location.pathname}${hash}`);
}

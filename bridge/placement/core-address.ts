/** A core as the configuration names it: `host:port`, or `host:port@region`. */

export interface CoreAddress {
  readonly address: string;
  /** Empty when it was not told. */
  readonly region: string;
}

/** The form is the configuration's to check. */
export function coreAddress(text: string): CoreAddress {
  const at = text.lastIndexOf('@');
  if (at < 0) return { address: text, region: '' };
  return { address: text.slice(0, at), region: text.slice(at + 1) };
}

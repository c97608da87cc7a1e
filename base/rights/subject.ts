/** Whose rights are asked for: what rules may compare with. */

export interface Subject {
  /** What the credential names; of a client without one, its identifier. */
  readonly device: string;
  readonly clientId: string;
  /** Empty for none. */
  readonly username: string;
  /** Empty for the one that needs no name. */
  readonly tenant: string;
  readonly roles: readonly string[];
  readonly labels: ReadonlyMap<string, string>;
}

const nothing: ReadonlyMap<string, string> = new Map();

/** A subject of which only this is known. */
export function subjectOf(known: Partial<Subject> & { readonly clientId: string }): Subject {
  const { clientId, device = clientId, username = '', tenant = '' } = known;
  return {
    device,
    clientId,
    username,
    tenant,
    roles: known.roles ?? [],
    labels: known.labels ?? nothing,
  };
}

/** For a row; empty for what no rule is about. */
export function subjectText(subject: Subject | null): string {
  if (subject === null) return 'internal';
  return JSON.stringify({ ...subject, labels: [...subject.labels] });
}

/** A row of before it was there says nothing: of its client the identifier alone is known. */
export function subjectFromText(text: string, clientId: string): Subject | null {
  if (text === 'internal') return null;
  if (text === '') return subjectOf({ clientId, device: '' });
  const kept = JSON.parse(text) as Omit<Subject, 'labels'> & { labels: [string, string][] };
  return { ...kept, labels: new Map(kept.labels) };
}

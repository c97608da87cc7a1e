/** What the HTTP service of authentication answers; docs/authentication.md has its form. */

export interface HttpAnswer {
  readonly result: 'allow' | 'deny' | 'ignore';
  /** Empty for none. */
  readonly name: string;
  readonly tenant: string;
  readonly roles: readonly string[];
  readonly labels: ReadonlyMap<string, string>;
  /** Milliseconds since the epoch; 0 for never. */
  readonly expiresAt: number;
}

const textLengthMax = 256;
const itemsMax = 64;

/** Null when the answer is not of the form. */
export function readAnswer(body: string): HttpAnswer | null {
  const value: unknown = JSON.parse(body);
  if (typeof value !== 'object' || value === null) return null;
  const fields = new Map<string, unknown>(Object.entries(value));
  const result = fields.get('result');
  if (result !== 'allow' && result !== 'deny' && result !== 'ignore') return null;
  const name = textIn(fields.get('name') ?? '');
  const tenant = textIn(fields.get('tenant') ?? '');
  const roles = textsIn(fields.get('roles') ?? []);
  const labels = labelsIn(fields.get('labels') ?? {});
  const seconds = fields.get('expires_at') ?? 0;
  if (name === null || tenant === null || roles === null || labels === null) return null;
  if (typeof seconds !== 'number' || !Number.isInteger(seconds) || seconds < 0) return null;
  return { result, name, tenant, roles, labels, expiresAt: seconds * 1_000 };
}

function textIn(value: unknown): string | null {
  return typeof value === 'string' && value.length <= textLengthMax ? value : null;
}

function textsIn(value: unknown): readonly string[] | null {
  if (!Array.isArray(value) || value.length > itemsMax) return null;
  const texts = value.map(textIn);
  return texts.every((one) => one !== null) ? texts : null;
}

function labelsIn(value: unknown): ReadonlyMap<string, string> | null {
  if (typeof value !== 'object' || value === null) return null;
  const entries = Object.entries(value);
  const names = textsIn(entries.map(([label]) => label));
  const texts = textsIn(entries.map(([, text]) => text));
  if (names === null || texts === null) return null;
  return new Map(names.map((label, at) => [label, texts[at] as string]));
}

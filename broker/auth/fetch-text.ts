/** An HTTP exchange with a bound on its time and on the bytes of its answer. */

export interface FetchTextOptions {
  readonly ms: number;
  readonly bytesMax: number;
  /** Posted as JSON; left out for a GET. */
  readonly json?: string;
  readonly token?: string;
}

/** Rejects when it fails, takes too long, is redirected, or brings too much. */
export async function fetchText(
  url: string,
  options: FetchTextOptions,
): Promise<{ status: number; text: string }> {
  const { ms, bytesMax, json, token = '' } = options;
  const headers = new Headers({ accept: 'application/json' });
  if (json !== undefined) headers.set('content-type', 'application/json');
  if (token !== '') headers.set('authorization', `Bearer ${token}`);
  const response = await fetch(url, {
    method: json === undefined ? 'GET' : 'POST',
    ...(json === undefined ? {} : { body: json }),
    headers,
    // It would take the credentials elsewhere.
    redirect: 'error',
    signal: AbortSignal.timeout(ms),
  });
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.length;
    // Leaving the loop cancels the rest.
    if (size > bytesMax) throw new Error(`the answer has more than ${bytesMax} bytes`);
    chunks.push(chunk);
  }
  return { status: response.status, text: Buffer.concat(chunks).toString() };
}

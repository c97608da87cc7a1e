/**
 * Server-sent events out of a fetch body: unlike EventSource, fetch can send the token. Source: WHATWG
 * HTML, section "Interpreting an event stream".
 */

export interface StreamEvent {
  readonly name: string;
  readonly data: string;
}

/** One event's text before its blank line; a core that sends more is not one. */
const pendingMax = 4 * 1024 * 1024;

export class EventStreamParser {
  #pending = '';

  /** Events completed by this piece of text. */
  push(text: string): StreamEvent[] {
    this.#pending += text.replaceAll('\r', '');
    const blocks = this.#pending.split('\n\n');
    this.#pending = blocks.pop() ?? '';
    if (this.#pending.length > pendingMax) throw new Error('an event is too long');
    return blocks.map(parseBlock).filter((event) => event !== null);
  }
}

/** Null for a comment, which only keeps the connection awake. */
function parseBlock(block: string): StreamEvent | null {
  let name = 'message';
  const data: string[] = [];
  for (const line of block.split('\n')) {
    const colon = line.indexOf(':');
    if (colon <= 0) continue;
    const value = line.slice(colon + 1).replace(/^ /, '');
    const field = line.slice(0, colon);
    if (field === 'event') name = value;
    else if (field === 'data') data.push(value);
  }
  return data.length === 0 ? null : { name, data: data.join('\n') };
}

/** Yields events until the server ends the stream; throws when the connection breaks. */
export async function* readEvents(response: Response): AsyncGenerator<StreamEvent[]> {
  if (response.body === null) return;
  const parser = new EventStreamParser();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const events = parser.push(value);
      if (events.length > 0) yield events;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

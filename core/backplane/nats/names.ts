/**
 * Names of streams and subjects. A topic goes into a subject where a stream keeps one message for
 * each topic, and nowhere else; the encoding is injective for every topic of MQTT.
 */
import { createHash } from 'node:crypto';

/** Longer ones would end the connection: a NATS server takes control lines of 4,096 bytes. */
const encodedBytesMax = 3_000;

/** What a subject must not have as it is: controls, space, DEL, and what NATS or we give a meaning. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const unsafe = /[\x00-\x20\x7f.*>=]/g;

export class Names {
  readonly #prefix: string;

  /** Letters, digits, dashes and underscores. */
  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  logStream(lane: number): string {
    return `${this.#prefix}_LOG_${lane}`;
  }

  logSubjects(lane: number): string {
    return `${this.#prefix}.log.${lane}.*`;
  }

  /** Each core has its own, and a new one each time that it starts. */
  logSubject(lane: number, writer: string): string {
    return `${this.#prefix}.log.${lane}.${writer}`;
  }

  get retainedStream(): string {
    return `${this.#prefix}_RET`;
  }

  get retainedSubjects(): string {
    return `${this.#prefix}.ret.>`;
  }

  retainedSubject(topic: string): string {
    return `${this.#prefix}.ret.${topicSubject(topic)}`;
  }

  get tableStream(): string {
    return `${this.#prefix}_TAB`;
  }

  get tableSubjects(): string {
    return `${this.#prefix}.tab.>`;
  }

  tableSubject(table: string, key: string): string {
    return `${this.#prefix}.tab.${table}.${levelToken(key)}`;
  }

  /** Null for a subject of another table. */
  tableKey(table: string, subject: string): string | null {
    const start = `${this.#prefix}.tab.${table}.`;
    return subject.startsWith(start) ? levelOfToken(subject.slice(start.length)) : null;
  }

  get nodes(): string {
    return `${this.#prefix}.node`;
  }
}

/** `m.` and the levels, `s.` for topics that begin with `$`, and `~` at the end, so that one subject
 * filter can match a topic with all below it. Topics that are too long have a hash in their place. */
export function topicSubject(topic: string): string {
  const encoded = topic.split('/').map(levelToken).join('.');
  if (Buffer.byteLength(encoded) > encodedBytesMax) {
    return `x.${createHash('sha256').update(topic).digest('hex')}`;
  }
  return `${topic.startsWith('$') ? 's' : 'm'}.${encoded}.~`;
}

/** Null for a topic that was too long. */
export function topicOfSubject(subject: string): string | null {
  if (subject.startsWith('x.')) return null;
  return subject.slice(2, -2).split('.').map(levelOfToken).join('/');
}

function levelToken(level: string): string {
  if (level === '') return '=';
  return level.replace(unsafe, (char) => `=${char.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

function levelOfToken(token: string): string {
  if (token === '=') return '';
  return token.replace(/=([0-9a-f]{2})/g, (_, hex: string) => {
    return String.fromCharCode(Number.parseInt(hex, 16));
  });
}

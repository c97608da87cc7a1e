/** `trunkline sessions history` and `why`: what happened to devices, and why one is not there. */
import { TrunklineError } from '../base/errors.ts';
import type { EventJson } from '../core/http/session-routes.ts';
import type { CommandIo } from './command.ts';
import { helpText, parseOptions } from './options.ts';
import { type EventPageJson, SessionsClient } from './sessions-client.ts';
import { historySpec, whySpec } from './sessions-options.ts';
import { jsonLine, showHelp, textFor, writeSilent } from './sessions-output.ts';

const pageSizeMax = 1_000;

export async function history(args: string[], io: CommandIo): Promise<number> {
  const { help, values } = parseOptions(historySpec, args);
  if (help) return showHelp(io, helpText(historySpec));
  const client = new SessionsClient(values);
  const events: EventJson[] = [];
  let page: EventPageJson;
  let pageToken = '';
  do {
    page = await client.history({
      page_size: String(Math.min(pageSizeMax, values.limit - events.length)),
      page_token: pageToken,
      filter: values.filter,
      oldest_first: String(values.oldest),
    });
    events.push(...page.events);
    pageToken = page.next_page_token;
  } while (pageToken !== '' && events.length < values.limit);
  io.stdout.write(values.json ? events.map(jsonLine).join('') : textFor(io).events(events));
  if (pageToken !== '') io.stderr.write('There is more; --limit N shows it.\n');
  writeSilent(io, page);
  return 0;
}

export async function why(args: string[], io: CommandIo): Promise<number> {
  const { help, values, positionals } = parseOptions(whySpec, args);
  if (help) return showHelp(io, helpText(whySpec));
  const at = momentOf(values.at, new Date());
  const story = await new SessionsClient(values).why(positionals[0] ?? '', at);
  if (values.json) {
    io.stdout.write(`${JSON.stringify(story, null, 2)}\n`);
    return 0;
  }
  io.stdout.write(`${story.answer}\n`);
  if (story.around.length > 0) io.stdout.write(`\n${textFor(io).events(story.around)}`);
  writeSilent(io, story);
  return 0;
}

/** A time of day is the last one that was, by this machine's clock; the core reads the rest. */
export function momentOf(text: string, now: Date): string {
  const form = /^(\d{1,2}):(\d\d)(?::(\d\d))?$/.exec(text);
  if (form === null) return text;
  const [hours = 0, minutes = 0, seconds = 0] = form.slice(1).map((part) => Number(part ?? 0));
  if (hours > 23 || minutes > 59 || seconds > 59) {
    throw new TrunklineError(
      'config-invalid',
      `--at is ${JSON.stringify(text)}; give 00:00 to 23:59.`,
    );
  }
  const moment = new Date(now);
  moment.setHours(hours, minutes, seconds, 0);
  if (moment > now) moment.setDate(moment.getDate() - 1);
  return moment.toISOString();
}

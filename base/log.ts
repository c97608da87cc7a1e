/**
 * Logs are events with fields: the message is a constant that can be searched for, what varies is
 * in fields named as in the protocol. JSON in production, readable lines on a terminal; always on
 * standard error, so that standard output belongs to the command.
 */
import { type DestinationStream, type Logger, pino } from 'pino';
import pretty from 'pino-pretty';

export type { Logger } from 'pino';

export interface LogOptions {
  readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent';
  readonly format: 'auto' | 'json' | 'pretty';
  /** Stands in every line: "edge", "core", "up". */
  readonly tier: string;
}

export function createLog(options: LogOptions): Logger {
  const isPretty =
    options.format === 'pretty' || (options.format === 'auto' && process.stderr.isTTY === true);
  const target: DestinationStream = isPretty
    ? pretty({
        destination: 2,
        sync: true,
        ignore: 'pid,hostname,tier',
        messageFormat: '[{tier}] {msg}',
        singleLine: true,
        colorize: process.stderr.isTTY === true,
      })
    : pino.destination({ dest: 2, sync: true });
  return pino(
    {
      level: options.level,
      base: { tier: options.tier, pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      redact: ['password', 'token', '*.password', '*.token'],
    },
    target,
  );
}

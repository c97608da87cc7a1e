/** Kinds of values that settings share. */
import { z } from 'zod';

export const whole = z.number().int('it must be a whole number');
export const port = whole.min(0).max(65_535);
export const bytes = whole.min(1);
export const count = whole.min(1);
export const name = z
  .string()
  .regex(/^[A-Za-z0-9._-]{1,64}$/, 'it must be 1 to 64 letters, digits, dots, dashes, underscores');
export const host = z.string().min(1);
/** It goes into a header, which takes no other characters; between others a space ends it. */
export const secret = z
  .string()
  .regex(/^[!-~]*$/, 'it must be printable ASCII characters without spaces');

export const listener = (defaultPort: number, what: string) => ({
  host: host.default('127.0.0.1').describe(`Address that ${what} listens on.`),
  port: port.default(defaultPort).describe(`Port of ${what}; 0 takes a free one.`),
});

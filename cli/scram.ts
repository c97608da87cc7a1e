/** `trunkline scram`: makes of a password what the server keeps of it for SCRAM-SHA-256. */
import { randomBytes } from 'node:crypto';
import { text } from 'node:stream/consumers';
import { TrunklineError } from '../base/errors.ts';
import { verifierOf, verifierText } from '../broker/auth/scram-verifier.ts';
import type { CommandIo } from './command.ts';
import { defineOptions, helpText, parseOptions } from './options.ts';

const saltBytes = 16;

const spec = defineOptions({
  usage: 'trunkline scram [options] < password-file',
  summary: 'Read a password from standard input and print its verifier for auth.scram_users.',
  options: {
    iterations: {
      kind: 'number',
      default: 4_096,
      // What RFC 7677 asks for at least.
      min: 4_096,
      max: 9_999_999,
      about: 'Rounds of hashing; a client does as many each time it connects.',
    },
  },
});

/** Throws `TrunklineError`, as every command does. */
export async function scramCommand(args: string[], io: CommandIo): Promise<number> {
  const { help, values } = parseOptions(spec, args);
  if (help) {
    io.stdout.write(helpText(spec));
    return 0;
  }
  // Not an argument: those are in the process list and in the shell's history.
  const password = (await text(process.stdin)).replace(/\r?\n$/, '');
  if (password === '') {
    throw new TrunklineError('config-invalid', 'Give the password on standard input.');
  }
  const { iterations } = values;
  const verifier = verifierOf(password, { salt: randomBytes(saltBytes), iterations });
  io.stdout.write(`${verifierText(verifier)}\n`);
  return 0;
}

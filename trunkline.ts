#!/usr/bin/env node
/** The entry: hands the command line to `cli/main.ts` and takes its exit code. */
import { main } from './cli/main.ts';

// A reader that goes away, such as `trunkline sub … | head -1`, is the end of the work, not a fault.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? 0 : 1);
});

process.exitCode = await main(process.argv.slice(2), {
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
});

/**
 * Compiles what the front door serves into one descriptor set beside the built program; reflection
 * serves it. Runs at the end of `npm run build`; an argument names another output file.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

const root = dirname(import.meta.dirname);
const output = resolve(process.argv[2] ?? join(root, 'dist', 'descriptors.binpb'));
const buf = join(root, 'node_modules', '.bin', 'buf');

/** The health service is not ours, but it is served and must be listed with the others. */
const modules = ['proto', join('node_modules', 'grpc-health-check', 'proto')];

/** Descriptor sets written one after the other are, by protobuf's rules, one set with all files. */
const sets = modules.map((path) =>
  execFileSync(
    buf,
    ['build', path, '--as-file-descriptor-set', '--exclude-source-info', '-o', '-#format=binpb'],
    { cwd: root, stdio: ['ignore', 'pipe', 'inherit'], maxBuffer: 16 * 1024 * 1024 },
  ),
);

mkdirSync(dirname(output), { recursive: true });
writeFileSync(output, Buffer.concat(sets));

/** docs/dependencies.md: every direct dependency with its version, its licence and its reason. */
import { readFileSync } from 'node:fs';

/** A dependency without a reason here is a fault of the page, and so of the check. */
const reasons: ReadonlyMap<string, string> = new Map([
  ['@bufbuild/protobuf', 'Runtime of the generated Protocol Buffers code: its reader and writer.'],
  ['@grpc/grpc-js', 'gRPC: the trunk, the front door, the fleet service.'],
  [
    'aedes',
    'MQTT sessions as protocol state: CONNECT, subscriptions, keep alive, takeover, wills.',
  ],
  [
    '@nats-io/transport-node',
    'The client of NATS, for cores that share a log. Of March 2026; 1.1 MB with nats-core, nkeys and nuid, which it needs. 3.4 asks for Node 22.',
  ],
  [
    '@peculiar/x509',
    'Makes the certificates of `trunkline init`. Of October 2026; 4 MB with what it needs, loaded by that command alone.',
  ],
  ['grpc-health-check', 'The standard gRPC health service.'],
  [
    'jose',
    'JSON Web Tokens as passwords, and the key sets that they are checked with. 0.5 MB, without dependencies.',
  ],
  ['mqtt', 'The MQTT client of `pub`, `sub` and the simulated fleet.'],
  ['pino', 'Structured logs.'],
  ['pino-pretty', 'The same logs, readable on a terminal.'],
  ['reflect-metadata', 'What `@peculiar/x509` wants to find loaded.'],
  ['smol-toml', 'The configuration file.'],
  ['sqlite3', 'Sessions, retained messages and the session index on disk.'],
  ['ws', 'MQTT over WebSocket.'],
  ['zod', 'The configuration schema, with errors that name the path.'],
  ['@biomejs/biome', 'Format and lint, with the import rules between folders.'],
  ['@bufbuild/buf', 'Lint, format, breaking-change check and code generation of the .proto files.'],
  ['@types/node', 'Types of Node.'],
  ['@types/ws', 'Types of ws.'],
  ['fast-check', 'Property tests.'],
  [
    'mqtt-packet',
    'Control packets of bridges to other brokers; the measure of our own encoding in tests; the same that Aedes and mqtt use.',
  ],
  ['knip', 'Finds files, exports and dependencies that nothing uses.'],
  ['playwright-core', "Drives a browser in the tests of the operators' page."],
  ['preact', "The operators' page."],
  ['ts-proto', 'TypeScript from the .proto files.'],
  ['typescript', 'The compiler.'],
  ['uplot', "Charts on the operators' page."],
  ['vite', "Builds the operators' page."],
]);

const intro = `# Dependencies

Generated from \`package.json\` and the installed packages by \`npm run docs\`; do not edit.

Versions are exact, and \`package-lock.json\` pins the whole tree. Install scripts run for sqlite3
alone, which compiles SQLite; see \`allowScripts\` in \`package.json\`.
`;

export function dependenciesPage(): string {
  const manifest = JSON.parse(readFileSync('package.json', 'utf8'));
  return [
    intro,
    '## At run time',
    '',
    ...tableOf(manifest.dependencies),
    '',
    '## To build and test',
    '',
    'The console is built from preact and uplot, so these two are in the page that browsers load.',
    '',
    ...tableOf(manifest.devDependencies),
    '',
  ].join('\n');
}

function tableOf(dependencies: Readonly<Record<string, string>>): string[] {
  const rows = Object.entries(dependencies).map(([name, version]) => {
    const reason = reasons.get(name);
    if (reason === undefined)
      throw new Error(`tools/dependencies-page.ts has no reason for ${name}`);
    return `| ${name} | ${version} | ${licenceOf(name)} | ${reason} |`;
  });
  return ['| Package | Version | Licence | Why |', '|---|---|---|---|', ...rows];
}

function licenceOf(name: string): string {
  return JSON.parse(readFileSync(`node_modules/${name}/package.json`, 'utf8')).license;
}

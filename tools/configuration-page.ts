/** docs/configuration.md: every setting of the schema in tables, and an annotated sample file. */
import { type Setting, settings } from '../base/config-schema.ts';

const intro = `# Configuration

Generated from \`base/config-schema.ts\` by \`npm run docs\`; do not edit.

Sources, the later wins: the defaults below, a TOML file (\`--config FILE\` or \`TRUNKLINE_CONFIG\`),
environment variables, flags. An unknown key, variable or flag is refused, not ignored. \`trunkline
config\` prints what results, secrets masked; \`trunkline config check\` only checks.

Every address is loopback by default. A door on any other address must have a credential: \`mqtt\`,
\`ws\` (and with TLS \`mqtts\`, \`wss\`) need \`auth.users\` or \`auth.anonymous = true\`; \`trunk\`, \`gateway\`
and \`http\` need their \`token\`. Without it the process does not start and says which one is missing.

In a variable or a flag, a list is written with commas, \`auth.users\` as JSON.
`;

export function configurationPage(): string {
  const sections = grouped();
  const tables = [...sections].map(([section, list]) => tableOf(section, list));
  return [intro, ...tables, sampleOf(sections)].join('\n');
}

function grouped(): Map<string, Setting[]> {
  const sections = new Map<string, Setting[]>();
  for (const setting of settings()) {
    const section = setting.path.includes('.') ? (setting.path.split('.')[0] as string) : '';
    const list = sections.get(section);
    if (list === undefined) sections.set(section, [setting]);
    else list.push(setting);
  }
  return sections;
}

function tableOf(section: string, list: readonly Setting[]): string {
  const rows = list.map((setting) =>
    [
      '',
      `\`${setting.path}\``,
      `\`--${setting.flag}\``,
      `\`${setting.env}\``,
      valueCell(setting.defaultValue),
      setting.description.replaceAll('|', '\\|'),
      '',
    ]
      .join(' | ')
      .trim(),
  );
  return [
    `## ${section === '' ? 'General' : `[${section}]`}`,
    '',
    '| Setting | Flag | Variable | Default | What it is |',
    '|---|---|---|---|---|',
    ...rows,
    '',
  ].join('\n');
}

function valueCell(value: unknown): string {
  const isNone = value === '' || (Array.isArray(value) && value.length === 0);
  return isNone ? 'none' : `\`${tomlValue(value)}\``;
}

function sampleOf(sections: ReadonlyMap<string, readonly Setting[]>): string {
  const lines = ['## trunkline.toml', '', 'All settings with their defaults.', '', '```toml'];
  for (const [section, list] of sections) {
    if (section !== '') lines.push('', `[${section}]`);
    for (const setting of list) lines.push(...sampleLines(setting));
  }
  return [...lines, '```', ''].join('\n');
}

/** Tables have no default: one of each, as a comment. */
const samples = new Map([
  [
    'auth.users',
    [
      '# [[auth.users]]',
      '# username = "meter-1"',
      '# password_sha256 = "…"  # printf %s PASSWORD | sha256sum',
    ],
  ],
  ['rights.role', ['# [[rights.role]]', '# name = "meters"', '# devices = ["meter-1", "meter-2"]']],
  [
    'rights.rule',
    [
      '# [[rights.rule]]',
      '# name = "own-readings"',
      '# effect = "allow"',
      '# action = "publish"',
      '# filter = "meters/{device}/#"',
      '# roles = ["meters"]',
      '# qos = 1',
    ],
  ],
  [
    'edge.foreign',
    [
      '# [[edge.foreign]]',
      '# name = "old-site"',
      '# url = "mqtts://broker.example:8883"',
      '# [[edge.foreign.topics]]',
      '# filter = "sensors/#"',
      '# direction = "out"',
    ],
  ],
]);

function sampleLines(setting: Setting): string[] {
  const key = setting.path.split('.').at(-1);
  const comment = `# ${setting.description}`;
  if (setting.kind !== 'table-list')
    return [comment, `${key} = ${tomlValue(setting.defaultValue)}`];
  return [comment, ...(samples.get(setting.path) ?? [])];
}

function tomlValue(value: unknown): string {
  if (typeof value === 'number' && value >= 10_000) {
    return String(value).replaceAll(/\B(?=(\d{3})+$)/g, '_');
  }
  if (Array.isArray(value)) return `[${value.map(tomlValue).join(', ')}]`;
  return typeof value === 'string' ? JSON.stringify(value) : String(value);
}

/** The OpenAPI document: it names every path there is, and what comes is as it says. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { FakeCore } from '../support/fake-core-http.ts';

interface Schema {
  readonly type?: string;
  readonly properties?: Record<string, Schema>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly additionalProperties?: Schema;
  readonly oneOf?: readonly Schema[];
  readonly enum?: readonly unknown[];
  readonly $ref?: string;
}

interface Operation {
  readonly parameters: readonly { readonly name: string; readonly in: string }[];
  readonly responses: Record<string, { content: Record<string, { schema?: Schema }> }>;
}

interface Document {
  readonly openapi: string;
  readonly paths: Record<string, { readonly get?: Operation; readonly post?: Operation }>;
  readonly components: { readonly schemas: Record<string, Schema> };
}

let core: FakeCore;
let document: Document;

before(async () => {
  core = new FakeCore({ consoleDirectory: '/nowhere' });
  core.attach('edge-1', 'north');
  core.report('edge-1', { received: 100, delivered: 200 });
  core.connect('edge-1', 'meter-1');
  core.keep('edge-1', 'meter-2');
  await core.open();
  document = (await ask('/v1/openapi.json')) as Document;
});
after(() => core.close());

async function ask(path: string): Promise<unknown> {
  return (await fetch(core.url.replace(/\/$/, '') + path)).json();
}

function schemaOf(path: string): Schema {
  const schema = document.paths[path]?.get?.responses['200']?.content['application/json']?.schema;
  assert.ok(schema, path);
  return schema;
}

/** Where the value is not as the schema says; nothing but what the document uses. */
function faults(value: unknown, schema: Schema, at = ''): string[] {
  if (schema.$ref !== undefined) {
    const named = document.components.schemas[schema.$ref.split('/').at(-1) ?? ''];
    return named === undefined ? [`${at}: ${schema.$ref} is nowhere`] : faults(value, named, at);
  }
  if (schema.oneOf !== undefined) {
    const all = schema.oneOf.map((one) => faults(value, one, at));
    return all.some((found) => found.length === 0) ? [] : all.flat();
  }
  if (schema.enum !== undefined) return schema.enum.includes(value) ? [] : [`${at}: not listed`];
  if (schema.type === 'array') return arrayFaults(value, schema, at);
  if (schema.type !== 'object') {
    return typeof value === schema.type ? [] : [`${at}: ${typeof value}, not ${schema.type}`];
  }
  return objectFaults(value, schema, at);
}

function arrayFaults(value: unknown, { items = {} }: Schema, at: string): string[] {
  if (!Array.isArray(value)) return [`${at}: no array`];
  return value.flatMap((one, index) => faults(one, items, `${at}[${index}]`));
}

function objectFaults(value: unknown, schema: Schema, at: string): string[] {
  if (typeof value !== 'object' || value === null) return [`${at}: no object`];
  const { properties, required = [], additionalProperties } = schema;
  const missing = required.filter((name) => !(name in value)).map((name) => `${at}.${name}: gone`);
  const own = Object.entries(value).flatMap(([name, one]) => {
    const expected = properties?.[name] ?? additionalProperties;
    if (expected !== undefined) return faults(one, expected, `${at}.${name}`);
    return properties === undefined ? [] : [`${at}.${name}: unheard of`];
  });
  return [...missing, ...own];
}

test('every path that is answered is in the document, and no other', async () => {
  assert.equal(document.openapi, '3.1.0');
  const source = readFileSync('core/http/routes.ts', 'utf8');
  const answered = [...source.matchAll(/case '(\/v1\/[^']+)'/g)].map(([, path]) => path);
  const told = Object.keys(document.paths);
  assert.deepEqual(
    answered.filter((path) => !told.includes(path as string)),
    [],
  );
  for (const path of told.filter((one) => !one.includes('{') && !one.endsWith(':watch'))) {
    if (document.paths[path]?.get === undefined) continue;
    const { status } = await fetch(core.url.replace(/\/$/, '') + path);
    assert.notEqual(status, 404, path);
  }
});

for (const [path, asked] of [
  ['/v1/sessions', '/v1/sessions?explain=true'],
  ['/v1/sessions', '/v1/sessions?fields=queue_messages'],
  ['/v1/sessions:group', '/v1/sessions:group?group_by=state&aggregates=p99(queue_messages)'],
  ['/v1/sessions/{client_id}', '/v1/sessions/meter-2'],
  ['/v1/edges', '/v1/edges'],
  ['/v1/trunks', '/v1/trunks'],
  ['/v1/trunks/{edge_id}', '/v1/trunks/edge-1'],
] as const) {
  test(`what ${asked} answers is as the document says`, async () => {
    assert.deepEqual(faults(await ask(asked), schemaOf(path)), []);
  });
}

test('a refusal is as the document says', async () => {
  assert.deepEqual(
    faults(await ask('/v1/sessions?filter=stat%3D1'), { $ref: '#/components/schemas/Error' }),
    [],
  );
});

test('every parameter of the document is taken, and told apart from one that there is not', async () => {
  const { parameters = [] } = document.paths['/v1/sessions']?.get ?? {};
  const values = new Map([
    ['page_size', '5'],
    ['explain', 'true'],
    ['order_by', 'edge_id'],
  ]);
  const search = new URLSearchParams(
    parameters.map(({ name }) => [name, values.get(name) ?? ''] as [string, string]),
  );
  assert.ok('sessions' in ((await ask(`/v1/sessions?${search}`)) as object));
  assert.ok('error' in ((await ask('/v1/sessions?colour=blue')) as object));
});

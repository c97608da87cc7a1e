/**
 * Every message type is held to a number of bytes: what a reference instance of it takes, in which
 * each field is set, repeated ones twice. A field more shows here, and is then somebody's decision.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import {
  create,
  createFileRegistry,
  type DescField,
  type DescMessage,
  fromBinary,
  ScalarType,
  toBinary,
} from '@bufbuild/protobuf';
import { type ReflectMessage, reflect } from '@bufbuild/protobuf/reflect';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';

/** Bytes of the reference instance of each type; to be raised knowingly. */
const budgets: Readonly<Record<string, number>> = JSON.parse(
  readFileSync('test/unit/message-sizes.json', 'utf8'),
);

const file = new URL('../../descriptors.binpb', import.meta.url);
const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(file)));
const own = [...registry].filter(
  (type): type is DescMessage =>
    type.kind === 'message' && type.typeName.startsWith('trunkline.v1.'),
);

const text = 'reference';
const depthMax = 4;

function scalar(type: ScalarType): unknown {
  switch (type) {
    case ScalarType.STRING:
      return text;
    case ScalarType.BYTES:
      return new Uint8Array(16);
    case ScalarType.BOOL:
      return true;
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return 0.5;
    case ScalarType.INT64:
    case ScalarType.UINT64:
    case ScalarType.SINT64:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return 1_800_000_000_000n;
    default:
      return 1_000_000;
  }
}

/** Every field set; of a oneof the largest choice. */
function reference(type: DescMessage, depth = 0): ReflectMessage {
  const message = reflect(type, create(type));
  if (depth >= depthMax) return message;
  for (const field of type.fields) {
    if (field.oneof === undefined || field.oneof.fields.length === 1) set(message, field, depth);
  }
  for (const oneof of type.oneofs) {
    const sizes = oneof.fields.map((field) => {
      const alone = reflect(type, create(type));
      set(alone, field, depth);
      return { field, size: toBinary(type, alone.message).length };
    });
    const largest = sizes.sort((a, b) => b.size - a.size)[0];
    if (largest !== undefined) set(message, largest.field, depth);
  }
  return message;
}

function set(message: ReflectMessage, field: DescField, depth: number): void {
  const one = () => {
    if (field.enum !== undefined) return field.enum.values.at(-1)?.number;
    if (field.message !== undefined) return reference(field.message, depth + 1);
    return scalar(field.scalar as ScalarType);
  };
  if (field.fieldKind === 'list') for (let i = 0; i < 2; i++) message.get(field).add(one());
  else if (field.fieldKind === 'map') message.get(field).set(text, text);
  else message.set(field, one());
}

const sizes = new Map(
  own.map((type) => [
    type.typeName.replace('trunkline.v1.', ''),
    toBinary(type, reference(type).message).length,
  ]),
);

test('no message type is larger than its budget', () => {
  const over = [...sizes].filter(([name, size]) => size > (budgets[name] ?? 0));
  assert.deepEqual(over, [], 'name and bytes; test/unit/message-sizes.json has the budgets');
});

test('every budget is that of a message type, and none is far above it', () => {
  const loose = Object.entries(budgets).filter(([name, budget]) => {
    const size = sizes.get(name);
    return size === undefined || budget > size * 1.2 + 8;
  });
  assert.deepEqual(loose, []);
});

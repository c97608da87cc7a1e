/**
 * The few messages of gRPC server reflection, written and read by hand: versions v1 and v1alpha
 * have the same bytes. Field numbers are those of grpc/reflection/v1/reflection.proto.
 */
import { BinaryReader, BinaryWriter } from '@bufbuild/protobuf/wire';

export interface ReflectionRequest {
  /** The request as it came; it goes back with the answer. */
  readonly original: Uint8Array;
  readonly host: string;
  readonly question:
    | { readonly kind: 'file' | 'symbol' | 'extension-numbers'; readonly name: string }
    | { readonly kind: 'extension'; readonly name: string; readonly number: number }
    | { readonly kind: 'services' }
    | { readonly kind: 'none' };
}

export type ReflectionAnswer =
  | { readonly kind: 'files'; readonly files: readonly Uint8Array[] }
  | { readonly kind: 'extension-numbers'; readonly type: string; readonly numbers: number[] }
  | { readonly kind: 'services'; readonly names: readonly string[] }
  /** A gRPC status code and a sentence. */
  | { readonly kind: 'error'; readonly code: number; readonly message: string };

export interface ReflectionResponse {
  readonly request: ReflectionRequest;
  readonly answer: ReflectionAnswer;
}

export function decodeReflectionRequest(bytes: Uint8Array): ReflectionRequest {
  const reader = new BinaryReader(bytes);
  let host = '';
  let question: ReflectionRequest['question'] = { kind: 'none' };
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === 1) host = reader.string();
    else if (field === 3) question = { kind: 'file', name: reader.string() };
    else if (field === 4) question = { kind: 'symbol', name: reader.string() };
    else if (field === 5) question = extensionQuestion(reader.bytes());
    else if (field === 6) question = { kind: 'extension-numbers', name: reader.string() };
    else if (field === 7) question = servicesQuestion(reader.string());
    else reader.skip(wireType);
  }
  return { original: bytes, host, question };
}

export function encodeReflectionResponse(response: ReflectionResponse): Buffer {
  const writer = new BinaryWriter();
  writer.uint32(tag(1)).string(response.request.host);
  writer.uint32(tag(2)).bytes(response.request.original);
  const { answer } = response;
  switch (answer.kind) {
    case 'files':
      writer.uint32(tag(4)).fork();
      for (const file of answer.files) writer.uint32(tag(1)).bytes(file);
      break;
    case 'extension-numbers':
      writer.uint32(tag(5)).fork().uint32(tag(1)).string(answer.type).uint32(tag(2)).fork();
      for (const number of answer.numbers) writer.int32(number);
      writer.join();
      break;
    case 'services':
      writer.uint32(tag(6)).fork();
      for (const name of answer.names) {
        writer.uint32(tag(1)).fork().uint32(tag(1)).string(name).join();
      }
      break;
    case 'error':
      writer.uint32(tag(7)).fork().uint32(tag(1, 0)).int32(answer.code);
      writer.uint32(tag(2)).string(answer.message);
      break;
  }
  return Buffer.from(writer.join().finish());
}

/** The string of `list_services` says nothing. */
function servicesQuestion(_any: string): ReflectionRequest['question'] {
  return { kind: 'services' };
}

function extensionQuestion(bytes: Uint8Array): ReflectionRequest['question'] {
  const reader = new BinaryReader(bytes);
  let name = '';
  let number = 0;
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === 1) name = reader.string();
    else if (field === 2) number = reader.int32();
    else reader.skip(wireType);
  }
  return { kind: 'extension', name, number };
}

/** Wire type 2 is length-delimited, 0 a varint. */
function tag(field: number, wireType: 0 | 2 = 2): number {
  return (field << 3) | wireType;
}

/**
 * The compiled descriptors of everything that is served, by file and by symbol. They are the
 * compiler's own output, not rebuilt from generated code, so that clients get true file names and
 * dependencies. `tools/descriptors.mjs` writes them at build time.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  type DescriptorProto,
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from '@bufbuild/protobuf/wkt';

/** Beside the compiled program's entry. */
export const descriptorFileDefault = join(import.meta.dirname, '..', '..', 'descriptors.binpb');

export class DescriptorFiles {
  readonly #files = new Map<string, FileDescriptorProto>();
  /** Full name of a message, enum, service, method or field to the file that declares it. */
  readonly #symbols = new Map<string, string>();
  readonly #messages = new Set<string>();

  /** Throws what the file system or the decoder throws. */
  static read(path: string): DescriptorFiles {
    return new DescriptorFiles(readFileSync(path));
  }

  constructor(descriptorSet: Uint8Array) {
    for (const file of fromBinary(FileDescriptorSetSchema, descriptorSet).file) {
      this.#files.set(file.name, file);
      this.#learn(file);
    }
  }

  hasMessage(name: string): boolean {
    return this.#messages.has(name);
  }

  hasSymbol(name: string): boolean {
    return this.#symbols.has(name);
  }

  /** The file and everything that it imports, itself first; undefined when there is none. */
  byName(name: string): Uint8Array[] | undefined {
    if (!this.#files.has(name)) return undefined;
    const wanted = new Set([name]);
    for (const next of wanted) {
      for (const dependency of this.#files.get(next)?.dependency ?? []) wanted.add(dependency);
    }
    const files = [...wanted].map((each) => this.#files.get(each));
    return files
      .filter((file) => file !== undefined)
      .map((file) => toBinary(FileDescriptorProtoSchema, file));
  }

  bySymbol(symbol: string): Uint8Array[] | undefined {
    const file = this.#symbols.get(symbol);
    return file === undefined ? undefined : this.byName(file);
  }

  #learn(file: FileDescriptorProto): void {
    const scope = file.package === '' ? '' : `${file.package}.`;
    const declare = (name: string) => this.#symbols.set(name, file.name);
    for (const message of file.messageType) this.#learnMessage(message, scope, declare);
    for (const { name } of file.enumType) declare(scope + name);
    for (const { name } of file.extension) declare(scope + name);
    for (const service of file.service) {
      declare(scope + service.name);
      for (const method of service.method) declare(`${scope}${service.name}.${method.name}`);
    }
  }

  #learnMessage(message: DescriptorProto, scope: string, declare: (name: string) => void): void {
    const name = scope + message.name;
    declare(name);
    this.#messages.add(name);
    for (const field of message.field) declare(`${name}.${field.name}`);
    for (const { name: nested } of message.enumType) declare(`${name}.${nested}`);
    for (const nested of message.nestedType) this.#learnMessage(nested, `${name}.`, declare);
  }
}

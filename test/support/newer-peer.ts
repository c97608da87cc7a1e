/** Peers of other versions: changes how messages are encoded, until it is undone. */
import type { BinaryWriter } from '@bufbuild/protobuf/wire';

interface Encoded<Message> {
  encode(message: Message, writer?: BinaryWriter): BinaryWriter;
}

/** One field of each wire type, with numbers far above ours. */
export function addUnknown(writer: BinaryWriter): BinaryWriter {
  writer.uint32(900 << 3).uint32(7);
  writer.uint32((901 << 3) | 1).fixed64('9');
  writer.uint32((902 << 3) | 2).string('of a later version');
  writer.uint32((903 << 3) | 5).fixed32(5);
  return writer;
}

export class ChangedWire {
  readonly #undo: (() => void)[] = [];

  /** Messages of this type carry fields that nobody here knows. */
  grow<Message>(type: Encoded<Message>): this {
    return this.#replace(
      type,
      (encode) => (message, writer) => addUnknown(encode(message, writer)),
    );
  }

  /** Messages of this type are sent as `change` makes them. */
  change<Message>(type: Encoded<Message>, change: (message: Message) => Message): this {
    return this.#replace(type, (encode) => (message, writer) => encode(change(message), writer));
  }

  undo(): void {
    for (const one of this.#undo.reverse()) one();
  }

  #replace<Message>(
    type: Encoded<Message>,
    by: (encode: Encoded<Message>['encode']) => Encoded<Message>['encode'],
  ): this {
    const { encode } = type;
    type.encode = by(encode.bind(type));
    this.#undo.push(() => {
      type.encode = encode;
    });
    return this;
  }
}

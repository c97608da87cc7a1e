/** A decoded message as its .proto has it: without the place for fields of later versions. */
export function known<Message>(message: Message): Message {
  if (Array.isArray(message)) return message.map(known) as Message;
  if (message === null || typeof message !== 'object') return message;
  if (message instanceof Uint8Array) return message;
  const fields = Object.entries(message).filter(([name]) => name !== '_unknownFields');
  return Object.fromEntries(fields.map(([name, value]) => [name, known(value)])) as Message;
}

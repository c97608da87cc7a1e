/**
 * What edges of a later version tell of their sessions beyond the fields that this one knows: kept as
 * it came and told on, so that operators whose tools are newer than the core lose nothing.
 */
import type { Session } from '../../proto/gen/trunkline/v1/session.ts';

type Fields = NonNullable<Session['_unknownFields']>;

export class LaterFields {
  /** By row; empty while all edges are as old as the core. */
  readonly #byRow = new Map<number, Fields>();

  set(row: number, { _unknownFields: fields }: Session): void {
    if (hasAny(fields)) this.#byRow.set(row, fields);
    else this.delete(row);
  }

  delete(row: number): void {
    if (this.#byRow.size > 0) this.#byRow.delete(row);
  }

  /** As a part of the message. */
  of(row: number): Pick<Session, '_unknownFields'> {
    const fields = this.#byRow.get(row);
    return fields === undefined ? {} : { _unknownFields: fields };
  }

  differ(row: number, { _unknownFields: told }: Session): boolean {
    const kept = this.#byRow.get(row);
    if (kept === undefined) return hasAny(told);
    return !hasAny(told) || bytesOf(kept).compare(bytesOf(told)) !== 0;
  }
}

function hasAny(fields: Fields | undefined): fields is Fields {
  for (const _tag in fields) return true;
  return false;
}

function bytesOf(fields: Fields): Buffer {
  return Buffer.concat(
    Object.entries(fields).flatMap(([tag, values]) => [Buffer.from(`${tag} `), ...values]),
  );
}

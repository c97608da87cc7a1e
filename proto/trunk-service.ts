/**
 * The trunk's service with batches written and read by hand (`batch-codec.ts`); whatever else rides
 * on a lane, and whatever does not look as usual, goes through the generated code.
 */
import { makeGenericClientConstructor } from '@grpc/grpc-js';
import { decodeBatch, encodeBatch } from './batch-codec.ts';
import type { Batch } from './gen/trunkline/v1/publication.ts';
import {
  type LaneRequest,
  type LaneResponse,
  TrunkServiceClient,
  TrunkServiceService,
} from './gen/trunkline/v1/trunk.ts';
import { VarintReader } from './varint-reader.ts';

/** `batch` is field 2 of both messages of a lane. */
const batchTag = 18;

const { control, lane } = TrunkServiceService;

export const trunkService = {
  control,
  lane: {
    ...lane,
    requestSerialize: (value: LaneRequest): Buffer =>
      batchOf(value) ?? lane.requestSerialize(value),
    requestDeserialize: (bytes: Buffer): LaneRequest =>
      laneBatch(bytes) ?? lane.requestDeserialize(bytes),
    responseSerialize: (value: LaneResponse): Buffer =>
      batchOf(value) ?? lane.responseSerialize(value),
    responseDeserialize: (bytes: Buffer): LaneResponse =>
      laneBatch(bytes) ?? lane.responseDeserialize(bytes),
  },
} as const;

/** A client of the service above. */
export const TrunkClient = makeGenericClientConstructor(
  trunkService,
  TrunkServiceClient.serviceName,
) as unknown as typeof TrunkServiceClient;

function batchOf({ message }: LaneRequest | LaneResponse): Buffer | null {
  return message?.$case === 'batch' ? encodeBatch(message.value, batchTag) : null;
}

interface LaneBatch {
  message: { $case: 'batch'; value: Batch };
}

/** Null for a message that is not one batch and nothing else. */
function laneBatch(bytes: Buffer): LaneBatch | null {
  if (bytes[0] !== batchTag) return null;
  const reader = new VarintReader(bytes, 1, bytes.length);
  const length = reader.next();
  if (reader.isCut || reader.at + length !== bytes.length) return null;
  const value = decodeBatch(bytes, reader.at, bytes.length);
  return value === null ? null : { message: { $case: 'batch', value } };
}

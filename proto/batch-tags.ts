/** The fields of a `Batch` as they are announced on the wire: number and wire type in one. */
export const fieldTags = {
  firstSequence: 8,
  sequenceDeltas: 18,
  throughSequence: 24,
  topicsReset: 32,
  topicsAdded: 42,
  topicIds: 50,
  lengths: 58,
  flags: 66,
  payloads: 74,
  agesMs: 82,
  origins: 90,
  originIds: 98,
  properties: 106,
  deflatedPayloads: 114,
  sourceSequences: 122,
  sources: 130,
} as const;

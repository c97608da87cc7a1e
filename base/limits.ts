/**
 * Bounds that are not for operators to set, each with its reason. What operators may set stands in
 * `config.ts` under `limits`.
 */

/** Lanes of a trunk. Lanes are for order and isolation, not for speed: four keep one stalled disk
 * write or large batch from holding back three quarters of the topics. Part of the log's layout. */
export const laneCount = 4;

/** A batch closes at this many publications: larger ones were measured to be no faster. */
export const batchMessagesMax = 500;

/** A batch closes at this many payload and topic bytes; one publication may overstep it. */
export const batchBytesTarget = 64 * 1024;

/** Topics that one lane stream interns before it starts anew: bounds the memory of both ends. */
export const internedTopicsMax = 8192;

/** A gRPC message on the trunk: the largest MQTT packet that limits allow, and a batch beside it. */
export const trunkMessageBytesMax = 20 * 1024 * 1024;

/** MQTT 3.1.1 section 1.5.3: strings carry a two-byte length. */
export const topicBytesMax = 65_535;

/** Deeper topics are refused: matching cost grows with levels, and no fleet needs so many. */
export const topicLevelsMax = 100;

/** Bytes and time that a connection has before it is authenticated. */
export const connectBytesMax = 16 * 1024;
export const connectMs = 10_000;

/** Heartbeat of control and of silent lanes, and how many may be missed. */
export const heartbeatMs = 2_000;
export const heartbeatsMissedMax = 3;

/** Bytes of QoS above 0 under way on a lane in one direction. */
export const laneCreditBytes = 4 * 1024 * 1024;

/** Rows that one statement of the state store carries. */
export const storeRowsMax = 500;

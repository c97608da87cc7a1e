/**
 * Bounds that are not for operators to set, each with its reason. What operators may set stands in
 * `config.ts` under `limits`.
 */

/** Lanes of a trunk. Lanes are for order and isolation, not for speed: four keep one stalled disk
 * write or large batch from holding back three quarters of the topics. Part of the log's layout. */
export const laneCount = 4;

/** Lanes for plain topics that an edge may send on: past the log's lanes they buy isolation alone. */
export const edgeLanesMax = 16;

/** Lanes that an edge may send on in all: those, and one each for what is urgent and for bulk. */
export const uplinkLanesMax = edgeLanesMax + 2;

/** Changes of the lane map that may wait for each other at an edge. They come from operators: more
 * than these while nothing goes up are a mistake. */
export const laneBarriersMax = 64;

/** Marks of what came from elsewhere, one for each lane of each edge: 1,000 edges of four lanes,
 * and room for four generations of them. About 3 MB. */
export const seenSourcesMax = 16_384;

/** A batch closes at this many publications: larger ones were measured to be no faster. */
export const batchMessagesMax = 500;

/** A batch closes at this many payload and topic bytes; one publication may overstep it. */
export const batchBytesTarget = 64 * 1024;

/** What a batch may grow to while more than a plain one waits: what waits anyway goes in fewer, which
 * cost the receiver less. Larger ones would hold up the loop of both ends for milliseconds. */
export const grownBatchMessagesMax = 2_000;
export const grownBatchBytesTarget = 256 * 1024;

/** Payload bytes of a batch that compression is for. Below, it costs more time (0.3 ms whatever the
 * size) than it saves on a link of 1 MB/s; above, it would hold up the loop for more than 4 ms. */
export const deflateBytesMin = 1024;
export const deflateBytesMax = 512 * 1024;

/** A round trip above this is not this machine, nor its neighbour: bytes may cost there. */
export const farRoundTripMs = 1;

/** Time that a stream which takes nothing more has until its link is replaced. Slow is not stuck: each
 * message that goes out begins it anew, and a grown batch has this long even at 9 kB/s. */
export const drainMs = 30_000;

/** Bytes of QoS above 0 that one lane has under way, of those that credit allows: few where answers
 * are late because much is under way already. QoS 0 would wait behind all of it. */
export const underwayBytesMin = 64 * 1024;
export const underwayBytesFirst = 256 * 1024;

/** How much later an answer may come than twice the soonest one before less is put under way: past the
 * time of a group commit of a busy core. */
export const underwaySlackMs = 100;

/** Of the turns in which other lanes send, every so many-th is one for bulk as well. */
export const bulkTurns = 16;

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

/** Descriptors that connections must leave: for the spool, the store, the trunk, and those that are
 * being closed. */
export const descriptorsReserved = 128;

/** Time that a connected client has to authenticate anew, from its first AUTH to the last. */
export const reauthenticateMs = 10_000;

/** Heartbeat of control and of silent lanes, and how many may be missed. */
export const heartbeatMs = 2_000;
export const heartbeatsMissedMax = 3;

/** Canaries that may stay away before a lane's proof is too old, and a link on which nothing else moves
 * is replaced. Fewer would blame the link for a slow disk. */
export const canariesMissedMax = 3;

/** Edges that a core's metrics tell apart: six lanes of each are some 20 samples. */
export const edgesBookedMax = 1_000;

/** Bytes of QoS above 0 under way on a lane in one direction. */
export const laneCreditBytes = 4 * 1024 * 1024;

/** Time that an edge has to answer a command, and how many to one edge may wait for it. */
export const commandMs = 5_000;
export const commandsMax = 100;

/** A publication is dropped at the foreign bridge that would be its eighth: a chain is never so long,
 * a loop always. */
export const hopsMax = 8;

/** Rules of one set: each topic is held against all of them once. */
export const rulesMax = 1_000;

/** Rows that one statement of the state store carries. */
export const storeRowsMax = 500;

/** How far a core must be nearer than the present one, by share and by time, and in how many probes
 * one after the other, before an edge moves to it. Moving costs a gap in QoS 0, and round trips of a
 * busy machine differ by milliseconds from one look to the next. */
export const nearerShare = 0.3;
export const nearerMs = 5;
export const nearerProbes = 3;

/** Time that a core has to answer a probe, and that the first choice waits for the answers. */
export const probeMs = 2_000;
export const firstChoiceMs = 500;

/** Waits between tries to reach a core, and the share of each that is not left to chance: a fleet that
 * lost a core together spreads over nearly all of a wait. */
export const reconnectFirstMs = 250;
export const reconnectMaxMs = 5_000;
export const reconnectFloor = 0.1;

/** The longest that an edge is told to stay away: with the default rate, 3,000 edges at once. */
export const retryAfterMsMax = 60_000;

/** Where a publication that crossed the trunk came from, as far edges tell repeats by it. */

/** A lane of an edge's spool. */
export interface SourceLane {
  /** The edge, or who entered by it. */
  readonly origin: string;
  /** Identity of the spool. */
  readonly epoch: string;
  readonly lane: number;
}

/** One place on such a lane. */
export interface SourcePlace {
  readonly source: SourceLane;
  readonly sequence: number;
}

/** What operators ask of the trunk: how each edge's link does, and where a publication is. */
import type { Clock } from '../../base/clock.ts';
import { TrunklineError } from '../../base/errors.ts';
import {
  type LocatedEdge,
  LocatedEdge_State,
  type LocatePublicationResponse,
  LocatePublicationResponse_Stage as Stage,
  type Trunk,
} from '../../proto/gen/trunkline/v1/fleet.ts';
import { type Located, Located_Stage } from '../../proto/gen/trunkline/v1/trunk.ts';
import type { Backplane, LogPlace } from '../backplane/backplane.ts';
import type { SessionIndex } from '../sessions/session-index.ts';
import type { AttachedEdges } from '../trunk/attached-edges.ts';
import { type MessageId, parseMessageId } from './message-id.ts';
import { trunkView } from './trunk-view.ts';

const stageOfEdge = new Map<Located_Stage, Stage>([
  [Located_Stage.UNKNOWN, Stage.UNKNOWN],
  [Located_Stage.SPOOLED, Stage.SPOOLED],
  [Located_Stage.SENT, Stage.SENT],
  [Located_Stage.ACKNOWLEDGED, Stage.ACKNOWLEDGED],
]);

const states = {
  'not-wanted': LocatedEdge_State.NOT_WANTED,
  waiting: LocatedEdge_State.WAITING,
  sent: LocatedEdge_State.SENT,
  acknowledged: LocatedEdge_State.ACKNOWLEDGED,
} as const;

export interface TrunkDeskParts {
  readonly clock: Clock;
  readonly index: SessionIndex;
  /** Absent where publications are not looked for. */
  readonly edges?: AttachedEdges;
  readonly backplane?: Backplane;
}

export class TrunkDesk {
  readonly #parts: TrunkDeskParts;
  readonly #coreId: string;

  constructor(parts: TrunkDeskParts, options: { readonly coreId: string }) {
    this.#parts = parts;
    this.#coreId = options.coreId;
  }

  /** Of all edges that were here, by their names. */
  trunks(): Trunk[] {
    const { clock, index } = this.#parts;
    const at = { coreId: this.#coreId, now: clock.now() };
    return index.trunkReports().map((report) => trunkView(report, at));
  }

  /** Throws `not-found`. */
  trunk(edgeId: string): Trunk {
    const found = this.trunks().find((trunk) => trunk.edgeId === edgeId);
    if (found !== undefined) return found;
    const name = JSON.stringify(edgeId.slice(0, 256));
    throw new TrunklineError('not-found', `There is no edge with edge_id ${name}.`);
  }

  /** Asks the log first, then the edge. Throws `query-invalid`. */
  async locate(text: string): Promise<LocatePublicationResponse> {
    const id = parseMessageId(text);
    const asked = id.epoch === '' ? await this.#ask(id) : null;
    const epoch = asked?.epoch || id.epoch || this.#parts.backplane?.epochOf(id.edgeId) || '';
    const place = await this.#logged({ ...id, epoch });
    if (place !== null) return this.#onLog(text, id.edgeId, place);
    const answer = asked ?? (await this.#ask({ ...id, epoch }));
    return {
      ...nowhere(text),
      stage: answer === null ? Stage.UNREACHABLE : (stageOfEdge.get(answer.stage) ?? Stage.UNKNOWN),
      topic: answer?.topic ?? '',
      acceptedAtMs: answer?.acceptedAtMs ?? 0,
    };
  }

  async #logged(id: MessageId): Promise<LogPlace | null> {
    const { backplane } = this.#parts;
    if (backplane === undefined) return null;
    const { edgeId: origin, epoch, lane, sequence } = id;
    return backplane.locate({ source: { origin, epoch, lane }, sequence });
  }

  /** Null when the edge is not here, does not know the question, or does not answer. */
  async #ask({ edgeId, epoch, lane, sequence }: MessageId): Promise<Located | null> {
    const { edges } = this.#parts;
    if (edges === undefined) return null;
    try {
      const value = { epoch, lane, sequence };
      const { located } = await edges.send(edgeId, { $case: 'locate', value });
      return located ?? null;
    } catch (error) {
      if (error instanceof TrunklineError) return null;
      throw error;
    }
  }

  #onLog(text: string, origin: string, place: LogPlace): LocatePublicationResponse {
    const { lane, position, storedAt, publication } = place;
    const { topic, acceptedAt } = publication;
    return {
      ...nowhere(text),
      stage: Stage.LOGGED,
      topic,
      acceptedAtMs: acceptedAt,
      logLane: lane,
      logPosition: position,
      loggedAtMs: storedAt,
      edges: this.#edgesOf(origin, place),
    };
  }

  #edgesOf(origin: string, { lane, position, publication }: LogPlace): LocatedEdge[] {
    const { edges, index } = this.#parts;
    return index.edges().map(({ edgeId }) => {
      if (edgeId === origin) return { edgeId, state: LocatedEdge_State.ORIGIN };
      const stage = edges?.get(edgeId)?.stageOf(publication.topic, { lane, position });
      return { edgeId, state: stage === undefined ? LocatedEdge_State.AWAY : states[stage] };
    });
  }
}

function nowhere(messageId: string): LocatePublicationResponse {
  return {
    messageId,
    stage: Stage.UNSPECIFIED,
    topic: '',
    acceptedAtMs: 0,
    logLane: 0,
    logPosition: 0,
    loggedAtMs: 0,
    edges: [],
  };
}

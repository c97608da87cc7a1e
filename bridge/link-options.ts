/** What a link is given, what it is told to be, and whom it tells what happens to it. */
import type { TlsSource } from '../base/tls/tls-identity.ts';
import type { Command, CommandResult, InterestUpdate } from '../proto/gen/trunkline/v1/trunk.ts';
import type { LaneDownlink } from './lane-downlink.ts';
import type { LaneUplinkParts } from './lane-uplink.ts';

export interface LinkOptions {
  readonly address: string;
  readonly token: string;
  /** Null: in plain. */
  readonly tls: TlsSource | null;
  readonly edgeId: string;
  readonly region: string;
  readonly softwareVersion: string;
  /** What it does beyond the least; named at hello. */
  readonly capabilities: readonly string[];
  /** Messages a second of an outage's backlog; 0 for as fast as they go. */
  readonly replayRate: number;
  /** Payloads go deflated where that pays, both ways. */
  readonly compresses: boolean;
}

export interface LinkHandlers {
  /** The core lets this edge in; lanes open when it may proceed. */
  readonly welcomed: () => void;
  /** Every lane is open: interest and sessions may be sent. */
  readonly up: () => void;
  readonly wanted: (update: InterestUpdate) => void;
  readonly command: (command: Command, answer: (result: CommandResult) => void) => void;
  readonly reached: (lane: number, version: number) => void;
  /** The link ends because nothing was heard for too long. */
  readonly silent: (what: 'core' | 'lane') => void;
  /** The link ends because nothing went out on a lane for too long. */
  readonly stuck: () => void;
  readonly malformed: (reason: string) => void;
}

export interface LinkParts extends LaneUplinkParts {
  readonly downlinks: readonly LaneDownlink[];
}

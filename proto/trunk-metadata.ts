/**
 * What the trunk tells in gRPC metadata, beside its messages: who a core is, with each answer to a
 * health check, and when an edge that was refused may come again.
 */
import { Metadata } from '@grpc/grpc-js';

/** The name that gRPC's retry design gives to a server's word on when to try again. */
const retryKey = 'grpc-retry-pushback-ms';

const idKey = 'trunkline-core-id';
const regionKey = 'trunkline-core-region';
const logKey = 'trunkline-core-log';
const edgesKey = 'trunkline-core-edges';

export interface CoreFacts {
  readonly coreId: string;
  readonly region: string;
  /** Identity of its log. */
  readonly log: string;
  /** Edges attached. */
  readonly edges: number;
}

export function metadataOfCore({ coreId, region, log, edges }: CoreFacts): Metadata {
  const metadata = new Metadata();
  metadata.set(idKey, encodeURIComponent(coreId));
  metadata.set(regionKey, encodeURIComponent(region));
  metadata.set(logKey, encodeURIComponent(log));
  metadata.set(edgesKey, String(edges));
  return metadata;
}

/** Empty and 0 for what was not told. */
export function coreOfMetadata(metadata: Metadata): CoreFacts {
  return {
    coreId: textOf(metadata, idKey),
    region: textOf(metadata, regionKey),
    log: textOf(metadata, logKey),
    edges: wholeOf(metadata, edgesKey),
  };
}

export function metadataOfRetry(afterMs: number): Metadata {
  const metadata = new Metadata();
  metadata.set(retryKey, String(Math.ceil(afterMs)));
  return metadata;
}

/** 0 when nothing was said. */
export function retryOfMetadata(metadata: Metadata): number {
  return wholeOf(metadata, retryKey);
}

function textOf(metadata: Metadata, key: string): string {
  const [value] = metadata.get(key);
  if (typeof value !== 'string') return '';
  try {
    return decodeURIComponent(value).slice(0, 256);
  } catch {
    // Not written by a core of ours; it is for show and for comparison alone.
    return '';
  }
}

function wholeOf(metadata: Metadata, key: string): number {
  const [value] = metadata.get(key);
  return typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : 0;
}

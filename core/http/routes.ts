/** What the operators' HTTP answers: path to reply. Watches are streams and stand elsewhere. */
import { TrunklineError } from '../../base/errors.ts';
import type { Metrics } from '../../base/metrics.ts';
import type { FleetEngine } from '../fleet/fleet-engine.ts';
import type { ConsoleFiles } from './console-files.ts';
import { drainReply } from './drain-route.ts';
import { faultReply, jsonReply, type Reply, textReply } from './reply.ts';
import { parametersOf, percentDecoded, type RequestTarget, wholeNumber } from './request-target.ts';
import {
  rollbackRulesReply,
  rulesReply,
  ruleVersionsReply,
  setRulesReply,
} from './rules-routes.ts';
import { edgeJson, sessionJson, sessionPageJson } from './session-json.ts';
import { trunkReply, trunksReply, whereReply } from './trunk-json.ts';

const metricsType = 'text/plain; version=0.0.4; charset=utf-8';

export interface Readiness {
  readonly ready: boolean;
  readonly reasons: string[];
}

export interface RoutesParts {
  readonly metrics: Metrics;
  readonly fleet: FleetEngine;
  readonly readiness: () => Readiness;
  readonly files: ConsoleFiles;
}

/** Throws, or rejects with, `TrunklineError` for what the caller did wrong. */
export function replyTo(
  target: RequestTarget,
  parts: RoutesParts,
  ifNoneMatch: string | undefined,
): Reply | Promise<Reply> {
  const { path, query } = target;
  switch (path) {
    case '/healthz':
      return textReply('ok\n');
    case '/readyz': {
      const { ready, reasons } = parts.readiness();
      return jsonReply({ ready, reasons }, ready ? 200 : 503);
    }
    case '/metrics':
      return textReply(parts.metrics.text(), metricsType);
    case '/v1/sessions':
      return sessionsReply(query, parts.fleet);
    case '/v1/edges':
      parametersOf(query, []);
      return jsonReply({ edges: parts.fleet.edges().map(edgeJson) });
    case '/v1/trunks':
      return trunksReply(target, parts.fleet);
    case '/v1/where':
      return whereReply(target, parts.fleet);
    case '/v1/rules':
      return rulesReply(query, parts.fleet.rules);
    case '/v1/rules/versions':
      return ruleVersionsReply(query, parts.fleet.rules);
    default:
      if (path.startsWith('/v1/trunks/')) return trunkReply(target, parts.fleet);
      return path.startsWith('/v1/sessions/')
        ? sessionReply(target, parts.fleet)
        : fileReply(path, parts.files, ifNoneMatch);
  }
}

/** The same for what changes something; `body` is read when the path is known. */
export async function changeReply(
  { path, query }: RequestTarget,
  body: () => Promise<Readonly<Record<string, unknown>>>,
  { fleet }: RoutesParts,
): Promise<Reply> {
  parametersOf(query, []);
  switch (path) {
    case '/v1/rules':
      return setRulesReply(await body(), fleet.rules);
    case '/v1/rules:rollback':
      return rollbackRulesReply(await body(), fleet.rules);
    case '/v1/core:drain':
      return drainReply(await body(), fleet.drain);
    default:
      return {
        ...faultReply('method-not-allowed', 'Only GET and HEAD are answered here.'),
        // A body that may follow is not read.
        headers: { allow: 'GET, HEAD', connection: 'close' },
      };
  }
}

async function sessionsReply(query: string, fleet: FleetEngine): Promise<Reply> {
  const given = parametersOf(query, ['page_size', 'page_token', 'filter']);
  const page = await fleet.list({
    pageSize: wholeNumber('page_size', given.get('page_size') ?? ''),
    pageToken: given.get('page_token') ?? '',
    filter: given.get('filter') ?? '',
  });
  return jsonReply(sessionPageJson(page));
}

function sessionReply({ path, query }: RequestTarget, fleet: FleetEngine): Reply {
  parametersOf(query, []);
  const clientId = percentDecoded(path.slice('/v1/sessions/'.length));
  return jsonReply({ session: sessionJson(fleet.get(clientId)) });
}

function fileReply(path: string, files: ConsoleFiles, ifNoneMatch: string | undefined): Reply {
  const reply = files.reply(path, ifNoneMatch);
  if (reply !== null) return reply;
  if (path === '/' && files.size === 0) {
    return faultReply('not-found', 'The console is not built; run `npm run build`.');
  }
  throw new TrunklineError(
    'not-found',
    `There is nothing at ${JSON.stringify(path.slice(0, 128))}. There are /v1/sessions, /v1/edges, /v1/trunks, /metrics, /healthz, /readyz and the console at /.`,
  );
}

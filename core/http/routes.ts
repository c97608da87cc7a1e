/** What the operators' HTTP answers: path to reply. Watches are streams and stand elsewhere. */
import { TrunklineError } from '../../base/errors.ts';
import type { Metrics } from '../../base/metrics.ts';
import type { FleetEngine } from '../fleet/fleet-engine.ts';
import type { ConsoleFiles } from './console-files.ts';
import { drainReply } from './drain-route.ts';
import { openApiReply } from './openapi.ts';
import { faultReply, jsonReply, type Reply, textReply } from './reply.ts';
import { parametersOf, type RequestTarget } from './request-target.ts';
import {
  rollbackRulesReply,
  rulesReply,
  ruleVersionsReply,
  setRulesReply,
} from './rules-routes.ts';
import { edgeJson } from './session-json.ts';
import { groupsReply, historyReply, sessionReply, sessionsReply } from './session-routes.ts';
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
    case '/v1/sessions:group':
      return groupsReply(query, parts.fleet);
    case '/v1/sessions:history':
      return historyReply(query, parts.fleet);
    case '/v1/openapi.json':
      parametersOf(query, []);
      return openApiReply();
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

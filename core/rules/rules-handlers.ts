/** The rules' part of FleetService over gRPC. */
import type { Logger } from '../../base/log.ts';
import type { FleetServiceServer, RuleVersion } from '../../proto/gen/trunkline/v1/fleet.ts';
import { rulesOf, wireRule } from '../../proto/rule-set.ts';
import { unary } from '../grpc/unary.ts';
import type { StoredRules } from './rule-store.ts';
import type { RulesDesk } from './rules-desk.ts';

export type RulesHandlers = Pick<
  FleetServiceServer,
  'getRules' | 'setRules' | 'listRuleVersions' | 'rollbackRules'
>;

/** `desk` throws when this core keeps no rules. */
export function rulesHandlers(desk: () => RulesDesk, log: Logger): RulesHandlers {
  return {
    getRules: unary(log, ({ name }) => ({
      rules: versionOf(desk().get(name)),
      names: desk().names(),
    })),
    setRules: unary(log, async (request) => ({
      change: await desk().set({ ...request, rules: rulesOf(request.rules) }),
    })),
    listRuleVersions: unary(log, ({ name }) => ({
      versions: desk().versions(name).map(versionOf),
    })),
    rollbackRules: unary(log, async (request) => ({ change: await desk().rollback(request) })),
  };
}

function versionOf({ rules, ...stored }: StoredRules): RuleVersion {
  return { ...stored, rules: rules.map(wireRule) };
}

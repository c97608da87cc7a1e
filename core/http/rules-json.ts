/** Rules and their changes as JSON: names as in the proto, directions and priorities as words. */
import { type Rule, ruleJson } from '../../base/rules/rule.ts';
import type {
  EdgeRulesChange,
  RulesChange,
  TopicPlace,
} from '../../proto/gen/trunkline/v1/fleet.ts';
import { Rule_Direction, Rule_Priority } from '../../proto/gen/trunkline/v1/trunk.ts';
import type { StoredRules } from '../rules/rule-store.ts';

export interface RuleVersionJson {
  readonly name: string;
  readonly version: number;
  readonly changed_at_ms: number;
  readonly comment: string;
  readonly removed: boolean;
  readonly rules: readonly Record<string, string | number | boolean>[];
}

export interface TopicPlaceJson {
  /** From 1; 0 for none. */
  readonly rule: number;
  readonly goes: boolean;
  readonly topic: string;
  readonly maximum_qos: number;
  readonly priority: string;
}

export interface EdgeRulesChangeJson {
  readonly edge_id: string;
  readonly acknowledged: boolean;
  readonly error: string;
  readonly filters_changed: number;
  readonly filters: readonly {
    readonly filter: string;
    readonly before: readonly string[];
    readonly after: readonly string[];
  }[];
  readonly topics: readonly {
    readonly topic: string;
    readonly direction: string;
    readonly before: TopicPlaceJson;
    readonly after: TopicPlaceJson;
  }[];
}

export interface RulesChangeJson {
  readonly version: number;
  readonly dry_run: boolean;
  readonly edges: readonly EdgeRulesChangeJson[];
}

export function ruleVersionJson(stored: StoredRules): RuleVersionJson {
  return {
    name: stored.name,
    version: stored.version,
    changed_at_ms: stored.changedAtMs,
    comment: stored.comment,
    removed: stored.removed,
    rules: stored.rules.map((rule: Rule) => ruleJson(rule)),
  };
}

export function rulesChangeJson(change: RulesChange): RulesChangeJson {
  const { version, dryRun, edges } = change;
  return { version, dry_run: dryRun, edges: edges.map(edgeChangeJson) };
}

function edgeChangeJson(edge: EdgeRulesChange): EdgeRulesChangeJson {
  return {
    edge_id: edge.edgeId,
    acknowledged: edge.acknowledged,
    error: edge.error,
    filters_changed: edge.filtersChanged,
    filters: edge.filters.map(({ filter, before, after }) => ({ filter, before, after })),
    topics: edge.topics.map(({ topic, direction, before, after }) => ({
      topic,
      direction: direction === Rule_Direction.UP ? 'up' : 'down',
      before: placeJson(before),
      after: placeJson(after),
    })),
  };
}

function placeJson(place: TopicPlace | undefined): TopicPlaceJson {
  return {
    rule: place?.rule ?? 0,
    goes: place?.goes ?? false,
    topic: place?.topic ?? '',
    maximum_qos: place?.maximumQos ?? 0,
    priority: priorityName(place?.priority ?? Rule_Priority.UNSPECIFIED),
  };
}

function priorityName(priority: Rule_Priority): string {
  if (priority === Rule_Priority.HIGH) return 'high';
  return priority === Rule_Priority.BULK ? 'bulk' : 'normal';
}

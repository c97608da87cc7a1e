/**
 * Where operators change the rules: one set for all edges, named `default`, and for an edge one of its
 * own that stands in its place. A change is kept as a new version, then sent to the edges that are
 * attached and follow it; the others get it when they attach.
 */
import type { Clock } from '../../base/clock.ts';
import { messageOf, TrunklineError } from '../../base/errors.ts';
import type { Logger } from '../../base/log.ts';
import type { Counter, Metrics } from '../../base/metrics.ts';
import type { Rule } from '../../base/rules/rule.ts';
import { topicNameFault } from '../../base/topic.ts';
import type { EdgeRulesChange, RulesChange } from '../../proto/gen/trunkline/v1/fleet.ts';
import { ruleSetOf } from '../../proto/rule-set.ts';
import type { SharedTables } from '../backplane/backplane.ts';
import type { AttachedEdge, AttachedEdges } from '../trunk/attached-edges.ts';
import { RuleStore, type RuleVersions, type StoredRules } from './rule-store.ts';
import { diffRules } from './rules-diff.ts';
import { type RuleRecord, SharedRules } from './shared-rules.ts';

const defaultName = 'default';

const nameForm = /^[A-Za-z0-9._-]{1,64}$/;
const sampleTopicsMax = 100;

export interface RulesDeskParts {
  readonly log: Logger;
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly edges: AttachedEdges;
}

export interface SetRules {
  /** `default`, which empty stands for, or an edge's name. */
  readonly name: string;
  readonly rules: readonly Rule[];
  /** 0 for any. */
  readonly expectedVersion: number;
  readonly dryRun: boolean;
  readonly comment: string;
  readonly remove: boolean;
  readonly sampleTopics: readonly string[];
}

export type RollbackRules = Omit<SetRules, 'rules' | 'comment' | 'remove'> & {
  readonly version: number;
};

export class RulesDesk {
  readonly #parts: RulesDeskParts;
  readonly #store: RuleVersions;
  readonly #unsent: Counter;
  readonly #sending = new Set<Promise<void>>();
  /** Changes are made one after the other. */
  #changing: Promise<unknown> = Promise.resolve();

  private constructor(parts: RulesDeskParts, store: RuleVersions) {
    this.#parts = parts;
    this.#store = store;
    this.#unsent = parts.metrics.counter(
      'trunkline_rules_unacknowledged_total',
      'Sets of rules that an edge was sent and did not take.',
    );
    parts.edges.onAttached((edge) => this.#attached(edge));
    store.onChanged((name) => {
      for (const edge of this.#followers(name)) this.#sendSoon(edge);
    });
  }

  /** Throws `data-unwritable`, `store-failing` or `rules-invalid`. */
  static async open(
    parts: RulesDeskParts,
    where: { readonly file: string; readonly tables: SharedTables | null },
  ): Promise<RulesDesk> {
    const { file, tables } = where;
    if (tables === null) return new RulesDesk(parts, await RuleStore.open(file));
    const table = tables.table<RuleRecord>('rules');
    return new RulesDesk(parts, await SharedRules.open(parts.log, table));
  }

  /** Version 0 for a name that never had rules. */
  get(name: string): StoredRules {
    const known = checkedName(name);
    return this.#store.current(known) ?? { ...absent, name: known };
  }

  names(): string[] {
    return this.#store.names();
  }

  /** Newest first. */
  versions(name: string): readonly StoredRules[] {
    return this.#store.versions(checkedName(name));
  }

  /** Resolves when the edges have answered. Throws `rules-conflict` when another change came first. */
  set(change: SetRules): Promise<RulesChange> {
    return this.#inTurn(() => this.#set({ ...change, name: checkedName(change.name) }));
  }

  /** Throws `not-found` when the version is not kept any more. */
  rollback(change: RollbackRules): Promise<RulesChange> {
    return this.#inTurn(() => {
      const name = checkedName(change.name);
      const earlier = this.#store.versions(name).find(({ version }) => version === change.version);
      if (earlier === undefined) {
        const kept = this.#store.versions(name).map(({ version }) => version);
        const text = `There is no version ${change.version} of the rules "${name}"; kept are ${kept.join(', ') || 'none'}.`;
        throw new TrunklineError('not-found', text);
      }
      const { rules, removed: remove } = earlier;
      return this.#set({ ...change, name, rules, remove, comment: `as version ${change.version}` });
    });
  }

  /** What an edge has to follow; null when there never were any rules for it. */
  rulesFor(edgeId: string): StoredRules | null {
    const own = this.#store.current(edgeId);
    if (own !== null && !own.removed) return own;
    return this.#store.current(defaultName) ?? own;
  }

  async close(): Promise<void> {
    await this.#changing;
    await Promise.all(this.#sending);
    await this.#store.close();
  }

  async #set(change: SetRules): Promise<RulesChange> {
    const { name, expectedVersion, dryRun, comment, remove } = change;
    const rules = remove ? [] : change.rules;
    const { version: present } = this.get(name);
    if (expectedVersion !== 0 && expectedVersion !== present) {
      const text = `The rules "${name}" have version ${present}, not ${expectedVersion}: look at them, and give expected_version ${present}.`;
      throw new TrunklineError('rules-conflict', text);
    }
    const topics = checkedTopics(change.sampleTopics);
    const followers = this.#followers(name);
    const edges = followers.map((edge) => this.#changeAt(edge, { ...change, rules, topics }));
    if (dryRun) return { version: present, dryRun, edges };
    const changedAtMs = this.#parts.clock.now();
    const stored = await this.#store.add({ name, changedAtMs, comment, removed: remove, rules });
    const { version } = stored;
    this.#parts.log.info({ name, version, rules: rules.length, comment }, 'rules changed');
    const answers = await Promise.all(followers.map((edge) => this.#send(edge)));
    return {
      version,
      dryRun,
      edges: edges.map((edge, index) => {
        const error = answers[index] ?? '';
        return { ...edge, acknowledged: error === '', error };
      }),
    };
  }

  #changeAt(
    { edgeId, filters }: AttachedEdge,
    { name, rules, remove, topics }: SetRules & { readonly topics: readonly string[] },
  ): EdgeRulesChange {
    const before = this.rulesFor(edgeId)?.rules ?? [];
    const fallback = name === defaultName ? null : this.#store.current(defaultName);
    const after = remove ? (fallback?.rules ?? []) : rules;
    const diff = diffRules({ before, after }, filters(), topics);
    return { edgeId, acknowledged: false, error: '', ...diff };
  }

  /** Attached edges that follow the rules of a name. */
  #followers(name: string): readonly AttachedEdge[] {
    return this.#parts.edges.all().filter(({ edgeId }) => {
      if (name !== defaultName) return edgeId === name;
      return this.#store.current(edgeId)?.removed ?? true;
    });
  }

  #attached(edge: AttachedEdge): void {
    // One of an earlier version follows no rules; that is told when they are set.
    if (this.rulesFor(edge.edgeId) === null || !edge.commands.takes('rules')) return;
    this.#sendSoon(edge);
  }

  #sendSoon(edge: AttachedEdge): void {
    const sending = this.#send(edge).then(() => {
      this.#sending.delete(sending);
    });
    this.#sending.add(sending);
  }

  /** The reason why the edge does not follow them; empty when it does. Never rejects. */
  async #send(edge: AttachedEdge): Promise<string> {
    const stored = this.rulesFor(edge.edgeId);
    const value = ruleSetOf(stored?.version ?? 0, ownRules(stored));
    try {
      await edge.commands.send({ $case: 'rules', value });
      return '';
    } catch (error) {
      const reason = messageOf(error);
      this.#unsent.add();
      const fields = { edge: edge.edgeId, version: value.version, reason };
      this.#parts.log.warn(fields, 'rules not acknowledged');
      return reason;
    }
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#changing.then(work);
    this.#changing = turn.catch(() => {});
    return turn;
  }
}

const absent = { version: 0, changedAtMs: 0, comment: '', removed: true, rules: [] } as const;

function ownRules(stored: StoredRules | null): readonly Rule[] {
  return stored === null || stored.removed ? [] : stored.rules;
}

function checkedName(name: string): string {
  if (name === '') return defaultName;
  if (nameForm.test(name)) return name;
  const given = JSON.stringify(name.slice(0, 128));
  const text = `The name ${given} is neither "${defaultName}" nor an edge's name.`;
  throw new TrunklineError('query-invalid', text);
}

function checkedTopics(topics: readonly string[]): readonly string[] {
  if (topics.length > sampleTopicsMax) {
    const text = `sample_topics has ${topics.length} topics; give ${sampleTopicsMax} at most.`;
    throw new TrunklineError('query-invalid', text);
  }
  for (const topic of topics) {
    const fault = topicNameFault(topic);
    if (fault === null) continue;
    const given = JSON.stringify(topic.slice(0, 128));
    throw new TrunklineError('query-invalid', `The sample topic ${given} ${fault}.`);
  }
  return topics;
}

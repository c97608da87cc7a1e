/**
 * The rules in force, and who hears when others are. With no rule and no role configured everybody
 * may do everything but touch the server's own topics.
 */
import type { Qos } from '../publication.ts';
import type { RightsRule, RightsSettings } from '../settings/rights.ts';
import { type GrantedRule, Grants, openGrants } from './grants.ts';
import { levelsFor, type Pattern, parsePattern } from './pattern.ts';
import type { Subject } from './subject.ts';

interface ParsedRule {
  readonly rule: RightsRule;
  readonly pattern: Pattern;
  readonly roles: ReadonlySet<string>;
  readonly devices: ReadonlySet<string>;
}

interface Roles {
  readonly ofDevice: ReadonlyMap<string, readonly string[]>;
  readonly ofUsername: ReadonlyMap<string, readonly string[]>;
}

const noRoles: readonly string[] = [];

export class Rights {
  #rules: readonly ParsedRule[] = [];
  #roles: Roles = { ofDevice: new Map(), ofUsername: new Map() };
  #isOpen = true;
  readonly #listeners = new Set<() => void>();

  constructor(settings: RightsSettings) {
    this.#take(settings);
  }

  /** Nothing is configured. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** What the subject may do by the rules of now. */
  of(subject: Subject): Grants {
    if (this.#isOpen) return openGrants;
    const roles = this.rolesOf(subject);
    const own = this.#rules.filter((rule) => isAbout(rule, subject, roles));
    const granted = (action: RightsRule['action']) => ({
      allow: grantedOf(own, { subject, action, effect: 'allow' }),
      deny: grantedOf(own, { subject, action, effect: 'deny' }),
    });
    return new Grants({ publish: granted('publish'), subscribe: granted('subscribe') });
  }

  /** Those that its credential carries, and those that the configuration gives it. */
  rolesOf({ roles, device, username }: Subject): ReadonlySet<string> {
    const byDevice = this.#roles.ofDevice.get(device) ?? noRoles;
    const byUsername = username === '' ? noRoles : this.#roles.ofUsername.get(username);
    return new Set([...roles, ...byDevice, ...(byUsername ?? noRoles)]);
  }

  replace(settings: RightsSettings): void {
    this.#take(settings);
    for (const listener of [...this.#listeners]) listener();
  }

  /** Calls when the rules are others; answers how to stop that. */
  onChanged(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #take({ rule, role }: RightsSettings): void {
    this.#isOpen = rule.length === 0 && role.length === 0;
    this.#rules = rule.map((one) => ({
      rule: one,
      pattern: parsePattern(one.filter),
      roles: new Set(one.roles),
      devices: new Set(one.devices),
    }));
    this.#roles = {
      ofDevice: byName(role.map(({ name, devices }) => ({ name, holders: devices }))),
      ofUsername: byName(role.map(({ name, usernames }) => ({ name, holders: usernames }))),
    };
  }
}

function byName(
  roles: readonly { readonly name: string; readonly holders: readonly string[] }[],
): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>();
  for (const { name, holders } of roles) {
    for (const holder of holders) {
      const known = found.get(holder);
      if (known === undefined) found.set(holder, [name]);
      else known.push(name);
    }
  }
  return found;
}

/** A rule that names nobody is about everybody. */
function isAbout(rule: ParsedRule, subject: Subject, roles: ReadonlySet<string>): boolean {
  if (rule.roles.size === 0 && rule.devices.size === 0) return true;
  if (rule.devices.has(subject.device)) return true;
  for (const role of rule.roles) if (roles.has(role)) return true;
  return false;
}

function grantedOf(
  rules: readonly ParsedRule[],
  wanted: {
    readonly subject: Subject;
    readonly action: RightsRule['action'];
    readonly effect: RightsRule['effect'];
  },
): GrantedRule[] {
  const { subject, action, effect } = wanted;
  const granted: GrantedRule[] = [];
  for (const { rule, pattern } of rules) {
    if (rule.action !== action || rule.effect !== effect) continue;
    const levels = levelsFor(pattern, subject, effect);
    if (levels === null) continue;
    const { name, retain, will } = rule;
    granted.push({ name, levels, qos: (rule.qos ?? 2) as Qos, retain, will });
  }
  return granted;
}

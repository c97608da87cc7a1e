/**
 * The properties of MQTT 5: identifier, type, where each may stand, and what its value may be.
 * Source: MQTT 5 section 2.2.2.2.
 */

import { variableMax } from '../../proto/variable-byte-integer.ts';
import { type ReasonCode, reasonCodes } from './reason-codes.ts';

/** Where properties stand; a will's are apart from those of the CONNECT around it. */
export type PropertyPlace =
  | 'connect'
  | 'will'
  | 'connack'
  | 'publish'
  | 'puback'
  | 'pubrec'
  | 'pubrel'
  | 'pubcomp'
  | 'subscribe'
  | 'suback'
  | 'unsubscribe'
  | 'unsuback'
  | 'disconnect'
  | 'auth';

export type UserProperty = readonly [name: string, value: string];

/** Decoded properties; one that is absent was not there. */
export interface Properties {
  payloadFormatIndicator?: number;
  messageExpiryInterval?: number;
  contentType?: string;
  responseTopic?: string;
  correlationData?: Buffer;
  /** Several in a PUBLISH, one in a SUBSCRIBE. */
  subscriptionIdentifiers?: readonly number[];
  sessionExpiryInterval?: number;
  assignedClientIdentifier?: string;
  serverKeepAlive?: number;
  authenticationMethod?: string;
  authenticationData?: Buffer;
  requestProblemInformation?: number;
  willDelayInterval?: number;
  requestResponseInformation?: number;
  responseInformation?: string;
  serverReference?: string;
  reasonString?: string;
  receiveMaximum?: number;
  topicAliasMaximum?: number;
  topicAlias?: number;
  maximumQos?: number;
  retainAvailable?: number;
  /** In order; a name may repeat. */
  userProperties?: readonly UserProperty[];
  maximumPacketSize?: number;
  wildcardSubscriptionAvailable?: number;
  subscriptionIdentifiersAvailable?: number;
  sharedSubscriptionAvailable?: number;
}

export type PropertyName = keyof Properties;

export type PropertyType = 'byte' | 'uint16' | 'uint32' | 'variable' | 'text' | 'binary' | 'pair';

export interface PropertyRule {
  readonly identifier: number;
  readonly name: PropertyName;
  readonly type: PropertyType;
  readonly places: ReadonlySet<PropertyPlace>;
  /** Bounds of a number. */
  readonly min: number;
  readonly max: number;
  /** What a number out of bounds is. */
  readonly fault: ReasonCode;
  /** May stand more than once: everywhere, or in PUBLISH alone. */
  readonly repeats: 'never' | 'always' | 'in-publish';
}

const publish: readonly PropertyPlace[] = ['publish', 'will'];
const connecting: readonly PropertyPlace[] = ['connect', 'connack'];
const authenticating: readonly PropertyPlace[] = ['connect', 'connack', 'auth'];
const acknowledging: readonly PropertyPlace[] = [
  'connack',
  ...(['puback', 'pubrec', 'pubrel', 'pubcomp'] as const),
  ...(['suback', 'unsuback', 'disconnect', 'auth'] as const),
];
const everywhere: readonly PropertyPlace[] = [
  ...acknowledging,
  ...(['connect', 'will', 'publish', 'subscribe', 'unsubscribe'] as const),
];

const typeMax = { byte: 0xff, uint16: 0xffff, uint32: 0xffff_ffff, variable: variableMax };
const flag = { max: 1 };
const notZero = { min: 1 };

const rules: readonly PropertyRule[] = [
  rule(0x01, 'payloadFormatIndicator', 'byte', publish, flag),
  rule(0x02, 'messageExpiryInterval', 'uint32', publish),
  rule(0x03, 'contentType', 'text', publish),
  rule(0x08, 'responseTopic', 'text', publish),
  rule(0x09, 'correlationData', 'binary', publish),
  rule(0x0b, 'subscriptionIdentifiers', 'variable', ['publish', 'subscribe'], {
    ...notZero,
    repeats: 'in-publish',
  }),
  rule(0x11, 'sessionExpiryInterval', 'uint32', [...connecting, 'disconnect']),
  rule(0x12, 'assignedClientIdentifier', 'text', ['connack']),
  rule(0x13, 'serverKeepAlive', 'uint16', ['connack']),
  rule(0x15, 'authenticationMethod', 'text', authenticating),
  rule(0x16, 'authenticationData', 'binary', authenticating),
  rule(0x17, 'requestProblemInformation', 'byte', ['connect'], flag),
  rule(0x18, 'willDelayInterval', 'uint32', ['will']),
  rule(0x19, 'requestResponseInformation', 'byte', ['connect'], flag),
  rule(0x1a, 'responseInformation', 'text', ['connack']),
  rule(0x1c, 'serverReference', 'text', ['connack', 'disconnect']),
  rule(0x1f, 'reasonString', 'text', acknowledging),
  rule(0x21, 'receiveMaximum', 'uint16', connecting, notZero),
  rule(0x22, 'topicAliasMaximum', 'uint16', connecting),
  rule(0x23, 'topicAlias', 'uint16', ['publish'], {
    ...notZero,
    fault: reasonCodes.topicAliasInvalid,
  }),
  rule(0x24, 'maximumQos', 'byte', ['connack'], flag),
  rule(0x25, 'retainAvailable', 'byte', ['connack'], flag),
  rule(0x26, 'userProperties', 'pair', everywhere, { repeats: 'always' }),
  rule(0x27, 'maximumPacketSize', 'uint32', connecting, notZero),
  rule(0x28, 'wildcardSubscriptionAvailable', 'byte', ['connack'], flag),
  rule(0x29, 'subscriptionIdentifiersAvailable', 'byte', ['connack'], flag),
  rule(0x2a, 'sharedSubscriptionAvailable', 'byte', ['connack'], flag),
];

const byIdentifier = new Map(rules.map((one) => [one.identifier, one]));
const byName = new Map<string, PropertyRule>(rules.map((one) => [one.name, one]));

/** Undefined for an identifier that MQTT 5 does not define. */
export function ruleOf(identifier: number): PropertyRule | undefined {
  return byIdentifier.get(identifier);
}

export function ruleNamed(name: string): PropertyRule | undefined {
  return byName.get(name);
}

export function repeatsIn(known: PropertyRule, place: PropertyPlace): boolean {
  return known.repeats === 'always' || (known.repeats === 'in-publish' && place === 'publish');
}

function rule(
  identifier: number,
  name: PropertyName,
  type: PropertyType,
  places: readonly PropertyPlace[],
  special: Partial<PropertyRule> = {},
): PropertyRule {
  return {
    ...{ identifier, name, type, places: new Set(places), min: 0 },
    ...{ max: (typeMax as Partial<Record<PropertyType, number>>)[type] ?? 0 },
    ...{ fault: reasonCodes.protocolError, repeats: 'never' },
    ...special,
  };
}

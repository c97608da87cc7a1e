/** The kinds of queries that operators ask, a little different in each round. */
import type { FleetEngine } from '../../core/fleet/fleet-engine.ts';

export interface QueryKind {
  readonly name: string;
  readonly run: (
    fleet: FleetEngine,
    at: { readonly round: number; readonly sessions: number },
  ) => Promise<{ ms: number; total: number }>;
}

interface Listed {
  readonly name: string;
  readonly filter?: (round: number, sessions: number) => string;
  readonly orderBy?: string;
  readonly pageSize?: number;
  /** The page behind a first one of a thousand, and not that itself. */
  readonly isSecondPage?: boolean;
}

const none = () => '';

const listed: readonly Listed[] = [
  { name: 'first page' },
  { name: 'second page of 1,000', isSecondPage: true, pageSize: 1_000 },
  { name: 'one client', filter: (round) => `client_id = meter-${digits(round * 8)}` },
  { name: 'clients by prefix', filter: (round) => `client_id = pump-00${round % 10}*` },
  { name: 'clients by ending', filter: (round) => `client_id = *${digits(round).slice(-3)}` },
  { name: 'clients by middle', filter: (round) => `client_id = *-*${500 + round}*` },
  { name: 'state and queue', filter: (round) => `state = kept AND queue_messages > ${round * 50}` },
  {
    name: 'three fields and a time',
    filter: (round) =>
      `state = connected AND region = eu-* AND -protocol = 5 AND connected_time > now-${round + 5}m`,
  },
  { name: 'any of many edges', filter: () => 'edge_id = (edge-001 OR edge-07* OR edge-099)' },
  { name: 'a word anywhere', filter: (round) => `tenant-${round}7` },
  { name: 'a word that is nowhere', filter: (round) => `nowhere-${round}` },
  {
    name: 'a subscription',
    filter: (round) => `subscriptions = fleet/+*${round} OR subscriptions = fleet/*/${round}/*`,
  },
  { name: 'order by queue', orderBy: 'queue_messages desc' },
  { name: 'order by connected time', orderBy: 'connected_time desc' },
  { name: 'order by state, edge, rate', orderBy: 'state, edge_id desc, received_rate' },
  { name: 'order by address', orderBy: 'remote_address' },
  { name: 'order by user, descending', orderBy: 'username desc' },
  { name: 'order by client, descending', orderBy: 'client_id desc' },
  {
    name: 'order, filtered',
    filter: () => 'state = kept',
    orderBy: 'disconnected_time desc, client_id',
  },
  {
    name: 'order by time, next page',
    orderBy: 'connected_time',
    isSecondPage: true,
    pageSize: 1_000,
  },
  { name: 'order by address, next page', orderBy: 'remote_address', isSecondPage: true },
  { name: 'order by queue, next page', orderBy: 'queue_messages', isSecondPage: true },
];

interface Grouped {
  readonly name: string;
  readonly filter?: string;
  readonly groupBy: readonly string[];
  readonly aggregates: readonly string[];
  readonly orderBy?: string;
}

const grouped: readonly Grouped[] = [
  { name: 'group by edge', groupBy: ['edge_id'], aggregates: ['count'] },
  {
    name: 'group by region and state, figures',
    groupBy: ['region', 'state'],
    aggregates: [
      'sum(queue_messages)',
      'p50(received_rate)',
      'p99(received_rate)',
      'max(queue_age)',
    ],
  },
  { name: 'group by keep alive', groupBy: ['keep_alive'], aggregates: ['avg(keep_alive_margin)'] },
  {
    name: 'group by user (100,000)',
    groupBy: ['username'],
    aggregates: ['sum(received_rate)'],
    orderBy: 'sum(received_rate) desc',
  },
  { name: 'group by address (1,000,000)', groupBy: ['remote_address'], aggregates: ['count'] },
  {
    name: 'reasons of the last hour',
    filter: 'state = kept AND disconnected_for < 1h',
    groupBy: ['disconnect_reason', 'disconnected_by'],
    aggregates: ['count'],
  },
];

/** Where the second page begins. */
const tokens = new Map<string, string>();

export const queryKinds: readonly QueryKind[] = [
  ...listed.map(listKind),
  ...grouped.map(groupKind),
];

function listKind({
  name,
  filter = none,
  orderBy = '',
  pageSize = 50,
  isSecondPage,
}: Listed): QueryKind {
  return {
    name,
    async run(fleet, { round, sessions }) {
      const common = { filter: filter(round, sessions), orderBy, fields: [], explain: false };
      let pageToken = '';
      if (isSecondPage === true) {
        pageToken =
          tokens.get(name) ??
          (await fleet.list({ ...common, pageSize: 1_000, pageToken: '' })).nextPageToken;
        tokens.set(name, pageToken);
      }
      const began = performance.now();
      const page = await fleet.list({ ...common, pageSize, pageToken });
      return { ms: performance.now() - began, total: page.totalSize };
    },
  };
}

function groupKind({ name, filter = '', groupBy, aggregates, orderBy = '' }: Grouped): QueryKind {
  return {
    name,
    async run(fleet) {
      const began = performance.now();
      const page = await fleet.group({
        pageSize: 50,
        pageToken: '',
        filter,
        groupBy: [...groupBy],
        aggregates: [...aggregates],
        orderBy,
        explain: false,
      });
      return { ms: performance.now() - began, total: page.totalGroups };
    },
  };
}

function digits(number: number): string {
  return String(number).padStart(7, '0');
}

/** What `trunkline up` prints once everything is ready: where to connect, and what to try. */
import { relative } from 'node:path';
import type { Config } from '../base/config.ts';
import type { Ports } from './child-tier.ts';
import { softwareVersion } from './version.ts';

export function bannerText(config: Config, ports: { edge: Ports; core: Ports }): string {
  const rows = [
    ...deviceRows(config, ports.edge),
    ['gateways', 'gRPC', `${authority(config.gateway.host, ports.core['gateway'])}`],
    ['operators', 'HTTP', `${httpBase(config, ports.core['http'])}/`],
    ['data', 'folder', config.data],
  ] as const;
  const widths = [0, 1].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const lines = rows.map(([who, how, where]) =>
    ['', who.padEnd(widths[0] ?? 0), how.padEnd(widths[1] ?? 0), where].join('  '),
  );
  return [
    `Trunkline ${softwareVersion()} is up.`,
    '',
    ...lines,
    '',
    'Try in another terminal:',
    ...tryLines(config, ports).map((line) => `  ${line}`),
    '',
    'Ctrl-C stops it.',
    '',
  ].join('\n');
}

function deviceRows(config: Config, ports: Ports): [string, string, string][] {
  const rows: [string, string, string][] = [
    ['devices', 'MQTT', `mqtt://${authority(config.mqtt.host, ports['mqtt'])}`],
    ['', 'MQTT over WebSocket', `ws://${authority(config.ws.host, ports['ws'])}${config.ws.path}`],
  ];
  if (ports['mqtts'] !== undefined) {
    rows.push(['', 'MQTT over TLS', `mqtts://${authority(config.mqtts.host, ports['mqtts'])}`]);
  }
  if (ports['wss'] !== undefined) {
    const where = `wss://${authority(config.wss.host, ports['wss'])}${config.ws.path}`;
    rows.push(['', 'MQTT over WebSocket, TLS', where]);
  }
  return rows;
}

function tryLines(config: Config, ports: { edge: Ports; core: Ports }): string[] {
  const entry = programPath();
  const mqttPort = ports.edge['mqtt'] ?? 0;
  const httpPort = ports.core['http'] ?? 0;
  const mqttFlag = mqttPort === 1883 ? '' : ` --port ${mqttPort}`;
  const httpFlag =
    httpPort === 8080 && config.http.tls_cert === '' ? '' : ` --http ${httpBase(config, httpPort)}`;
  return [
    `node ${entry} sub${mqttFlag} 'fleet/#'`,
    `node ${entry} pub${mqttFlag} fleet/hello 'Hello, fleet'`,
    `node ${entry} sessions list${httpFlag}`,
  ];
}

function httpBase({ http }: Config, port: number | undefined): string {
  return `http${http.tls_cert === '' ? '' : 's'}://${authority(http.host, port)}`;
}

/** This program, as short as it can be typed from where the user is. */
export function programPath(): string {
  const path = process.argv[1] ?? 'dist/trunkline.js';
  const near = relative(process.cwd(), path);
  return near.startsWith('..') ? path : near;
}

/** Host and port as a peer on this machine would write them. */
export function authority(host: string, port: number | undefined): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port ?? 0}`;
}

/** An address to connect to from this machine, for one that may mean "every interface". */
export function reachableHost(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  return host === '::' ? '::1' : host;
}

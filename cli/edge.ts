/** `trunkline edge`: the spool, the bridge to a core, the broker for devices, and the edge's status. */
import { join } from 'node:path';
import type { Config } from '../base/config.ts';
import { Ledger } from '../base/ledger.ts';
import { StatusServer } from '../base/status-server.ts';
import { Bridge } from '../bridge/bridge.ts';
import { Spool } from '../bridge/spool.ts';
import { DeviceBroker } from '../broker/device-broker.ts';
import type { CommandIo } from './command.ts';
import { type RunningTier, runTier, type TierParts } from './tier.ts';
import { softwareVersion } from './version.ts';

export function edgeCommand(args: string[], io: CommandIo): Promise<number> {
  return runTier(
    {
      name: 'edge',
      summary: 'Runs an edge: devices connect to it by MQTT; it connects to a core by the trunk.',
      sections: [
        'data',
        'mqtt',
        'mqtts',
        'ws',
        'wss',
        'tls',
        'edge',
        'trunk.token',
        'auth',
        'log',
        'limits',
      ],
      open: openEdge,
    },
    args,
    io,
  );
}

async function openEdge(parts: TierParts, config: Config): Promise<RunningTier> {
  const ledger = new Ledger(parts.metrics);
  const opened: { close(): Promise<void> }[] = [];
  const close = async () => {
    for (const part of opened.splice(0).reverse()) await part.close();
  };
  try {
    const spool = await Spool.open(parts, {
      directory: join(config.data, 'edge', 'spool'),
      bytesMax: config.limits.spool_bytes,
    });
    opened.push(spool);
    const bridge = new Bridge(
      { ...parts, ledger, spool: spool.uplink },
      {
        edgeId: config.edge.id,
        region: config.edge.region,
        cores: config.edge.cores,
        token: config.trunk.token,
        softwareVersion: softwareVersion(),
      },
    );
    opened.push(bridge);
    const broker = await DeviceBroker.open(
      {
        ...parts,
        ledger,
        messageLog: spool,
        uplink: bridge,
        sessionListener: bridge,
      },
      config,
    );
    opened.push(broker);
    let isListening = false;
    const status = await StatusServer.open(parts, {
      name: "the edge's status server",
      host: config.edge.http_host,
      port: config.edge.http_port,
      portFlag: 'edge-http-port',
      readiness: () => readinessOf({ isListening, isConnected: bridge.isConnected }),
    });
    opened.push(status);
    bridge.start(broker.localDelivery);
    await broker.listen();
    isListening = true;
    return { ports: { ...Object.fromEntries(broker.ports), http: status.port }, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** An edge serves its devices without a core, too: that is a reason to look, not to send them off. */
function readinessOf(edge: { isListening: boolean; isConnected: boolean }) {
  const reasons: string[] = [];
  if (!edge.isListening) reasons.push('the listeners are not open yet');
  if (!edge.isConnected) reasons.push('no core in reach: messages for elsewhere wait in the spool');
  return { ready: edge.isListening, reasons };
}

/**
 * The front door: one gRPC server for gateways and operators' tools, with health and reflection.
 * Opens: descriptors, services, port. Closes: streams with their wills, then the port.
 */
import type { Server, UntypedServiceImplementation } from '@grpc/grpc-js';
import { HealthImplementation } from 'grpc-health-check';
import type { Clock } from '../../base/clock.ts';
import { messageOf, TrunklineError } from '../../base/errors.ts';
import type { Ledger } from '../../base/ledger.ts';
import type { Logger } from '../../base/log.ts';
import type { Metrics } from '../../base/metrics.ts';
import type { Rights } from '../../base/rights/rights.ts';
import type { TlsSource } from '../../base/tls/tls-identity.ts';
import { FleetServiceService } from '../../proto/gen/trunkline/v1/fleet.ts';
import { GatewayServiceService } from '../../proto/gen/trunkline/v1/gateway.ts';
import { RegistryServiceService } from '../../proto/gen/trunkline/v1/registry.ts';
import { serverCredentials } from '../../proto/tls-credentials.ts';
import type { Fanout } from '../fanout/target.ts';
import type { FleetEngine } from '../fleet/fleet-engine.ts';
import { FleetService } from '../fleet/fleet-service.ts';
import { BearerCheck, bearerInterceptor } from '../grpc/bearer.ts';
import { DescriptorFiles, descriptorFileDefault } from '../grpc/descriptor-files.ts';
import { addReflection } from '../grpc/reflection.ts';
import { bindServer, closeServer, createServer } from '../grpc/server.ts';
import type { Registry } from '../registry/registry.ts';
import { registryHandlers } from '../registry/registry-service.ts';
import type { SessionSink } from '../sessions/session-sink.ts';
import { DeviceRegistry } from './device-registry.ts';
import { GatewayRights } from './gateway-rights.ts';
import { GatewayService } from './gateway-service.ts';
import { Intake } from './intake.ts';

const gatewayServiceName = 'trunkline.v1.GatewayService';
const fleetServiceName = 'trunkline.v1.FleetService';
const registryServiceName = 'trunkline.v1.RegistryService';
const healthServiceName = 'grpc.health.v1.Health';

/** The configuration's defaults for `limits.packet_bytes` and `limits.inflight`. */
const packetBytesDefault = 1024 * 1024;
const inflightDefault = 64;

export interface FrontDoorParts {
  readonly log: Logger;
  readonly ledger: Ledger;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly fanout: Fanout;
  readonly sessions: SessionSink;
  readonly fleet: FleetEngine;
  /** Without it, everything is allowed. */
  readonly rights?: Rights;
  /** Null, or left out, where there is none. */
  readonly registry?: Registry | null;
}

export interface FrontDoorOptions {
  readonly host: string;
  readonly port: number;
  /** Bearer token of gateways; empty for none. */
  readonly token: string;
  /** Bearer token of operators, for FleetService; empty for none. */
  readonly operatorToken: string;
  /** None: in plain. With authorities, a client has to have a certificate of theirs. */
  readonly tls?: TlsSource | null;
  readonly coreId: string;
  /** Devices behind one gateway stream. */
  readonly devicesMax: number;
  /** Publications of QoS 1 and 2 that one device may leave unacknowledged. */
  readonly inflightMax?: number;
  /** Largest publication: topic, payload and properties. */
  readonly packetBytesMax?: number;
  /** The compiled descriptors for reflection. */
  readonly descriptorFile?: string;
}

export interface FrontDoor {
  readonly port: number;
  close(): Promise<void>;
}

/** Throws `port-in-use` or `address-unavailable` with the remedy. */
export async function openFrontDoor(
  parts: FrontDoorParts,
  options: FrontDoorOptions,
): Promise<FrontDoor> {
  const { coreId, devicesMax } = options;
  const packetBytesMax = options.packetBytesMax ?? packetBytesDefault;
  const inflightMax = options.inflightMax ?? inflightDefault;
  const intake = new Intake(parts, { coreId, packetBytesMax });
  const registry = new DeviceRegistry(parts, { coreId });
  const gateways = new GatewayService(
    { ...parts, intake, registry, rights: new GatewayRights(parts.rights) },
    { coreId, devicesMax, inflightMax },
  );
  const fleet = new FleetService(parts);
  const server = createGuardedServer(parts, options);
  server.addService(GatewayServiceService, gateways.handlers());
  server.addService(FleetServiceService, fleet.handlers());
  server.addService(
    RegistryServiceService,
    registryHandlers(() => registryOf(parts), parts.log),
  );
  const health = addHealth(server);
  addReflectionIfBuilt(server, parts.log, options.descriptorFile ?? descriptorFileDefault);

  const close = async () => {
    for (const name of servedNames) health.setStatus(name, 'NOT_SERVING');
    gateways.close();
    fleet.close();
    registry.close();
    await intake.settled();
    await closeServer(server);
  };
  try {
    const { port } = await bindServer(server, {
      name: 'the front door',
      host: options.host,
      port: options.port,
      portFlag: 'gateway-port',
      credentials: serverCredentials(options.tls ?? null),
    });
    let closing: Promise<void> | null = null;
    return {
      port,
      close: () => {
        closing ??= close();
        return closing;
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The empty name is the server as a whole, by the health protocol. */
const servedNames = ['', gatewayServiceName, fleetServiceName, registryServiceName];

function registryOf({ registry = null }: FrontDoorParts): Registry {
  if (registry !== null) return registry;
  throw new TrunklineError(
    'unsupported',
    'This core has no registry of devices: its log is shared. Use another method of authentication.',
  );
}

function addHealth(server: Server): HealthImplementation {
  const health = new HealthImplementation();
  for (const name of servedNames) health.setStatus(name, 'SERVING');
  health.addToServer({
    addService: (definition, handlers) =>
      server.addService(definition, handlers as UntypedServiceImplementation),
  });
  return health;
}

/** A program that was not built by `npm run build` serves all but reflection. */
function addReflectionIfBuilt(server: Server, log: Logger, file: string): void {
  let descriptors: DescriptorFiles;
  try {
    descriptors = DescriptorFiles.read(file);
  } catch (error) {
    log.warn({ file, reason: messageOf(error) }, 'gRPC reflection is off: no descriptors');
    return;
  }
  addReflection(server, descriptors, [...servedNames.slice(1), healthServiceName]);
}

function createGuardedServer(parts: FrontDoorParts, options: FrontDoorOptions): Server {
  const guard = (name: string, token: string, setting: string) => {
    const refusals = parts.metrics.counter(
      'trunkline_grpc_unauthenticated_total',
      'Calls turned away for a missing or wrong token, by service.',
      { service: name },
    );
    return {
      name,
      setting,
      check: new BearerCheck(token),
      onRefused: (peer: string) => {
        refusals.add();
        parts.log.warn({ service: name, peer, reason: 'token' }, 'call refused');
      },
    };
  };
  return createServer({
    interceptors: [
      bearerInterceptor([
        guard(gatewayServiceName, options.token, 'gateway.token'),
        guard(fleetServiceName, options.operatorToken, 'http.token'),
        guard(registryServiceName, options.operatorToken, 'http.token'),
      ]),
    ],
  });
}

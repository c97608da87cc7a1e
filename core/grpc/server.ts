/**
 * A gRPC server with the bounds that grpc-js leaves open by default, and a bind that says in one
 * sentence what is wrong with the address.
 */
import {
  logVerbosity,
  Server,
  type ServerCredentials,
  type ServerOptions,
  setLogVerbosity,
} from '@grpc/grpc-js';
import { TrunklineError } from '../../base/errors.ts';
import { trunkMessageBytesMax } from '../../base/limits.ts';

// grpc-js writes its own lines to standard error, as for a port in use, beside the error that it
// gives; who looks for a fault in it sets its variable and gets them.
if (process.env['GRPC_VERBOSITY'] === undefined) setLogVerbosity(logVerbosity.NONE);

/** Streams of one connection. Without it 50,000 idle streams were measured to cost 381 MiB. */
const streamsMax = 1_000;

/** Options of every server; channelz keeps a trace per call and is off. */
export const serverOptions: ServerOptions = {
  'grpc.max_concurrent_streams': streamsMax,
  'grpc.max_receive_message_length': trunkMessageBytesMax,
  'grpc.max_send_message_length': trunkMessageBytesMax,
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 10_000,
  'grpc.enable_channelz': 0,
};

export interface BoundServer {
  readonly server: Server;
  /** The port in use, when 0 was asked for. */
  readonly port: number;
}

/** Options of `bindServer`. */
export interface BindOptions {
  /** What listens, for the error: "the trunk". */
  readonly name: string;
  readonly host: string;
  readonly port: number;
  /** Flag that chooses another port, for the error. */
  readonly portFlag: string;
  readonly credentials: ServerCredentials;
}

/** Throws `port-in-use` or `address-unavailable` with the remedy. */
export async function bindServer(server: Server, options: BindOptions): Promise<BoundServer> {
  const host = options.host.includes(':') ? `[${options.host}]` : options.host;
  const address = `${host}:${options.port}`;
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync(address, options.credentials, (error, bound) => {
      if (error === null) resolve(bound);
      else reject(bindFault(options, address, error));
    });
  });
  return { server, port };
}

export function createServer(options: ServerOptions = {}): Server {
  return new Server({ ...serverOptions, ...options });
}

/** Ends open streams after a short grace, so that a stop never hangs on a peer. */
export async function closeServer(server: Server, graceMs = 500): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(() => {
      server.forceShutdown();
      resolve();
    }, graceMs);
    server.tryShutdown(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}

function bindFault(options: BindOptions, address: string, error: Error): TrunklineError {
  const isInUse = error.message.includes('EADDRINUSE') || error.message.includes('in use');
  return isInUse
    ? new TrunklineError(
        'port-in-use',
        `Port ${options.port} on ${options.host} is in use, so ${options.name} cannot listen there. Stop the other program or choose another port with --${options.portFlag}.`,
        { cause: error },
      )
    : new TrunklineError(
        'address-unavailable',
        `${options.name} cannot listen on ${address}: ${error.message}`,
        { cause: error },
      );
}

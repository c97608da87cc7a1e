/** One HTTP/2 connection of an edge to a core. */
import type { ClientOptions } from '@grpc/grpc-js';
import { trunkMessageBytesMax } from '../base/limits.ts';
import type { TlsSource } from '../base/tls/tls-identity.ts';
import type { TrunkServiceClient } from '../proto/gen/trunkline/v1/trunk.ts';
import { channelTo } from '../proto/tls-credentials.ts';
import { TrunkClient } from '../proto/trunk-service.ts';

const clientOptions: ClientOptions = {
  // Without its own pool each client would share the other's connection.
  'grpc.use_local_subchannel_pool': 1,
  'grpc.max_receive_message_length': trunkMessageBytesMax,
  'grpc.max_send_message_length': trunkMessageBytesMax,
  'grpc.keepalive_time_ms': 30_000,
  'grpc.keepalive_timeout_ms': 10_000,
  'grpc.enable_retries': 0,
  'grpc.enable_channelz': 0,
  // Wide, because credits of our own bound what is under way.
  'grpc-node.flow_control_window': 4 * 1024 * 1024,
};

export function openTrunkClient(address: string, tls: TlsSource | null): TrunkServiceClient {
  const { credentials, options } = channelTo(address, tls);
  return new TrunkClient(address, credentials, { ...clientOptions, ...options });
}

/** CONNECT of MQTT 3.1 and 3.1.1, as Aedes's parser gives it, in the words that hold for all. */
import type { ConnectPacket } from './aedes-host.ts';
import type { ConnectRequest } from './connect-request.ts';

/** A session that is kept is kept for `keptSeconds`: these versions cannot say. */
export function requestOf(packet: ConnectPacket, keptSeconds: number): ConnectRequest {
  const { clientId, clean, keepalive, username, password, will } = packet;
  return {
    version: isVersion31(packet) ? 3 : 4,
    clientId,
    cleanStart: clean,
    sessionExpirySeconds: clean ? 0 : keptSeconds,
    keepAliveSeconds: keepalive,
    username: username ?? '',
    password: password ?? null,
    will: will === undefined ? null : { ...will, properties: null, delaySeconds: 0 },
    identity: null,
  };
}

/** Without the bit that bridges set. */
export function isVersion31({ protocolVersion }: ConnectPacket): boolean {
  return (protocolVersion & 0x7f) === 3;
}

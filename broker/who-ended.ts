/** Who ended a connection, told by its reason. */
import type { CloseReason } from './connection/connection-port.ts';

const byDevice = new Set<string>([
  'closed-by-client',
  'disconnected',
  'disconnected-with-will',
] satisfies CloseReason[]);

/** Who ended a connection, by the reason of it; nobody when there is none. */
export function whoEnded(reason: string): string {
  if (reason === '') return '';
  if (byDevice.has(reason)) return 'device';
  if (reason === 'socket-error') return 'network';
  return reason === 'taken-over' ? 'takeover' : 'edge';
}

/**
 * The image's health check: exit code 0 when the tier answers /healthz. Not /readyz: a core without
 * edges is not ready, but restarting it would not help.
 */
import { get } from 'node:http';
import { get as getSecure } from 'node:https';

const port = process.env.HEALTH_PORT ?? '8080';
const path = `//127.0.0.1:${port}/healthz`;
const isSecure = port === '8080' && (process.env.TRUNKLINE_HTTP_TLS_CERT ?? '') !== '';
// Within the container, and told nothing: whose certificate it is makes no difference.
const call = isSecure
  ? getSecure(`https:${path}`, { rejectUnauthorized: false })
  : get(`http:${path}`);
call.on('response', (response) => {
  response.resume();
  process.exitCode = response.statusCode === 200 ? 0 : 1;
});
call.on('error', (error) => {
  console.error(`no answer on port ${port}: ${error.message}`);
  process.exitCode = 1;
});

/**
 * The image's health check: exit code 0 when the tier answers /healthz. Not /readyz: a core without
 * edges is not ready, but restarting it would not help.
 */
const port = process.env.HEALTH_PORT ?? '8080';
try {
  const response = await fetch(`http://127.0.0.1:${port}/healthz`);
  process.exitCode = response.ok ? 0 : 1;
} catch (error) {
  console.error(`no answer on port ${port}: ${error.message}`);
  process.exitCode = 1;
}

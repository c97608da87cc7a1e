/** A stop that does not come to an end by itself, in processes that never finish their drain. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';

const moduleUrl = new URL('../../cli/stop-request.js', import.meta.url).href;

/** Logs `requested` and then works on for ever. */
const script = `
  const { StopRequest } = await import(process.argv[1]);
  const write = (fields, text) => console.log(text, fields.reason);
  const stop = new StopRequest({ error: write });
  setInterval(() => {}, 1000);
  console.log('listening');
  console.log('requested', await stop.requested);
`;

async function startDrain(stdio: 'pipe' | 'ipc' = 'pipe') {
  const child = spawn(process.execPath, ['--input-type=module', '-e', script, moduleUrl], {
    stdio: stdio === 'ipc' ? ['ignore', 'pipe', 'inherit', 'ipc'] : ['ignore', 'pipe', 'inherit'],
  });
  const output = { text: '' };
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    output.text += text;
  });
  // 'close' does not come for a child whose channel was closed from here.
  const exited = once(child, stdio === 'ipc' ? 'exit' : 'close').then(
    ([code]) => code as number | null,
  );
  await once(child.stdout as NodeJS.ReadableStream, 'data');
  return { child, output, exited };
}

test('a drain that takes too long is ended within five seconds, with a log line', async () => {
  const { child, output, exited } = await startDrain();
  const startedAt = performance.now();
  child.kill('SIGTERM');
  assert.equal(await exited, 1);
  assert.ok(performance.now() - startedAt < 5_000);
  assert.equal(output.text, 'listening\nrequested SIGTERM\nstop forced drain-timeout\n');
});

test('a signal a while after the first ends the drain at once', async () => {
  const { child, output, exited } = await startDrain();
  const startedAt = performance.now();
  const impatient = setInterval(() => child.kill('SIGINT'), 200);
  assert.equal(await exited, 1);
  clearInterval(impatient);
  assert.ok(performance.now() - startedAt < 3_000);
  assert.equal(output.text, 'listening\nrequested SIGINT\nstop forced second-signal\n');
});

test('the word of a supervisor, and its end, are requests to stop', async () => {
  const byWord = await startDrain('ipc');
  byWord.child.send('stop');
  await untilRequested(byWord.child, byWord.output, 'requested supervisor\n');
  const byEnd = await startDrain('ipc');
  byEnd.child.disconnect();
  await untilRequested(byEnd.child, byEnd.output, 'requested supervisor-gone\n');
  await Promise.all([byWord.exited, byEnd.exited]);
});

async function untilRequested(
  child: ChildProcess,
  output: { text: string },
  line: string,
): Promise<void> {
  while (!output.text.includes(line)) {
    await once(child.stdout as NodeJS.ReadableStream, 'data');
  }
  child.kill('SIGKILL');
}

/** The process outlives its clients' behaviour: held by Trunkline, and able to fail. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { survivalCases } from './cases/survival.ts';
import { runCases } from './run-cases.ts';
import { Server } from './server.ts';

const notHere = () => {
  throw new Error('this is in another process');
};

async function openStockProcess(): Promise<Server> {
  const child = fork(new URL('./stock-process.js', import.meta.url), { stdio: 'ignore' });
  const ended = once(child, 'exit');
  const [port] = (await once(child, 'message')) as [number];
  return new Server({
    port,
    store: { hold: notHere, delay: notHere, failOnce: notHere },
    patienceMs: 2_000,
    inject: notHere,
    restart: notHere,
    close: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  });
}

runCases(survivalCases, openStockProcess);

/** A thread with two devices that exchange messages at a fixed rate; tells how long each took. */
import { parentPort, workerData } from 'node:worker_threads';
import mqtt, { type MqttClient } from 'mqtt';

const everyMs = 10;

const { port } = workerData as { readonly port: number };
const url = `mqtt://127.0.0.1:${port}`;
const [sender, receiver] = [await device(), await device()];
await receiver.subscribeAsync('storm/live', { qos: 1 });

let took: number[] = [];
receiver.on('message', (_topic, payload) => {
  took.push(performance.now() - Number(payload.toString()));
});
// Sending does not wait for arrivals, so that a stall is seen by every message that it holds up.
const timer = setInterval(() => {
  sender.publish('storm/live', String(performance.now()), { qos: 1 });
}, everyMs);

parentPort?.on('message', async (word: 'take' | 'end') => {
  parentPort?.postMessage(took);
  took = [];
  if (word !== 'end') return;
  clearInterval(timer);
  await Promise.all([sender.endAsync(), receiver.endAsync()]);
  parentPort?.close();
});
parentPort?.postMessage('ready');

function device(): Promise<MqttClient> {
  return mqtt.connectAsync(url);
}

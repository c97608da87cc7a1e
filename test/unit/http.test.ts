/** The operators' HTTP over a real port: JSON, errors, tokens, events, console files, abuse. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type HttpDoor, type HttpOptions, openHttp } from '../../core/http/http-server.ts';
import { SessionState } from '../../proto/gen/trunkline/v1/session.ts';
import { fleetParts, HandClock, session, until } from '../support/front.ts';
import { takenPort } from '../support/ports.ts';

const consoleDirectory = mkdtempSync(join(tmpdir(), 'trunkline-console-'));
const parts = fleetParts();
const { sessions } = parts;
const clock = new HandClock();
const state = { ready: true, reasons: [] as string[] };
let door: HttpDoor;
let base: string;

function open(options: Partial<HttpOptions> = {}): Promise<HttpDoor> {
  return openHttp(
    { ...parts, clock, readiness: () => state },
    { host: '127.0.0.1', port: 0, token: '', consoleDirectory, ...options },
  );
}

before(async () => {
  mkdirSync(join(consoleDirectory, 'assets'));
  writeFileSync(join(consoleDirectory, 'index.html'), '<!doctype html><title>Trunkline</title>');
  writeFileSync(join(consoleDirectory, 'assets', 'index-abc123.js'), 'export {};');
  sessions.edgeAttached({ edgeId: 'edge-1', region: 'north', softwareVersion: '1.0.0' });
  const subscriptions = [{ filter: 'a/#', qos: 1 }];
  sessions.upsert('edge-1', [
    session('a', { subscriptions, subscriptionCount: 1 }),
    session('b/ü?', { state: SessionState.KEPT }),
    session('..'),
  ]);
  door = await open();
  base = `http://127.0.0.1:${door.port}`;
});
after(async () => {
  await door.close();
  rmSync(consoleDirectory, { recursive: true, force: true });
});

/** Without any change to the path on the way, unlike `fetch`. */
function raw(path: string, options: { method?: string; headers?: Record<string, string> } = {}) {
  return new Promise<{ status: number; headers: Record<string, unknown>; text: string }>(
    (resolve, reject) => {
      const call = request(
        { host: '127.0.0.1', port: door.port, path, agent: false, ...options },
        (response) => {
          let text = '';
          response.setEncoding('utf8').on('data', (part: string) => {
            text += part;
          });
          response.on('end', () =>
            resolve({ status: response.statusCode ?? 0, headers: response.headers, text }),
          );
        },
      );
      call.on('error', reject);
      call.end();
    },
  );
}

async function fault(path: string, options: Parameters<typeof raw>[1] = {}) {
  const { status, text } = await raw(path, options);
  const { error } = JSON.parse(text);
  return [status, error.code, error.message] as const;
}

test('a page of sessions has the names of the proto', async () => {
  const page = JSON.parse((await raw('/v1/sessions?page_size=1&filter=client_id%20%3D%20a')).text);
  assert.equal(page.total_size, 1);
  assert.equal(page.next_page_token, '');
  assert.equal(page.complete, true);
  assert.deepEqual(page.silent_edges, []);
  assert.ok(Number.isInteger(page.as_of_ms));
  const { updated_at_ms, ...rest } = page.sessions[0];
  assert.ok(updated_at_ms > 0);
  assert.deepEqual(rest, {
    client_id: 'a',
    edge_id: 'edge-1',
    gateway_id: '',
    state: 'connected',
    protocol: '3.1.1',
    listener: 'mqtt',
    remote_address: '127.0.0.1:5000',
    username: '',
    clean_start: true,
    keep_alive_seconds: 60,
    connected_at_ms: 1_000,
    disconnected_at_ms: 0,
    disconnect_reason: '',
    subscriptions: [{ filter: 'a/#', qos: 1 }],
    subscription_count: 1,
    queue_messages: 0,
    inflight_messages: 0,
    received_messages: 0,
    delivered_messages: 0,
    dropped_messages: 0,
    region: 'north',
    session_expiry_seconds: 0,
    will_present: false,
    receive_maximum: 0,
    disconnected_by: '',
    queue_oldest_at_ms: 0,
    received_rate: 0,
    delivered_rate: 0,
    keep_alive_margin_ms: 0,
    dropped: {},
    auth_method: '',
    will_topic: '',
    will_qos: 0,
    will_retain: false,
    will_delay_seconds: 0,
    maximum_packet_bytes: 0,
    topic_alias_maximum: 0,
    shared_subscription_count: 0,
    received_bytes: 0,
    sent_bytes: 0,
    queue_bytes: 0,
    unsent_bytes: 0,
    blocked_ms: 0,
    unreleased_messages: 0,
    connection_count: 0,
    round_trip_us: 0,
    received_byte_rate: 0,
    sent_byte_rate: 0,
    dropped_rate: 0,
  });
});

test('a page token leads to the next page', async () => {
  const first = JSON.parse((await raw('/v1/sessions?page_size=2')).text);
  const path = `/v1/sessions?page_size=2&page_token=${first.next_page_token}`;
  const second = JSON.parse((await raw(path)).text);
  const ids = [...first.sessions, ...second.sessions].map(({ client_id }) => client_id);
  assert.deepEqual(ids, ['..', 'a', 'b/ü?']);
});

test('one session is found by its percent-encoded name, even one that looks like a path', async () => {
  const found = async (path: string) => JSON.parse((await raw(path)).text).session.client_id;
  assert.equal(await found('/v1/sessions/b%2F%C3%BC%3F'), 'b/ü?');
  assert.equal(await found('/v1/sessions/..'), '..');
  assert.deepEqual((await fault('/v1/sessions/x')).slice(0, 2), [404, 'not-found']);
  assert.deepEqual((await fault('/v1/sessions/%ff')).slice(0, 2), [400, 'query-invalid']);
});

test('edges are listed', async () => {
  const [edge] = JSON.parse((await raw('/v1/edges')).text).edges;
  assert.equal(edge.edge_id, 'edge-1');
  assert.equal(edge.connected, true);
  assert.equal(edge.session_count, 3);
  assert.equal(edge.received_rate, 0);
});

test('what the caller did wrong is said with a code and a sentence', async () => {
  for (const [path, status, code, message] of [
    ['/v1/sessions?filter=x%3D1', 400, 'query-invalid', /unknown field 'x' at character 1/],
    ['/v1/sessions?page_size=many', 400, 'query-invalid', /page_size is "many"; give a whole/],
    ['/v1/sessions?page_size=5000', 400, 'query-invalid', /page_size is 5000; give 1 to 1000/],
    ['/v1/sessions?page_token=x', 400, 'query-invalid', /page_token is not valid/],
    ['/v1/sessions?pagesize=1', 400, 'query-invalid', /Unknown parameter "pagesize"; there are/],
    ['/v1/sessions?filter=&filter=', 400, 'query-invalid', /filter stands twice/],
    ['/v1/sessions:watch?filter=x%3D1', 400, 'query-invalid', /unknown field/],
    ['/v1/sessions:watch?resume_from=x', 400, 'query-invalid', /no position of a watch/],
    ['/v2/sessions', 404, 'not-found', /nothing at "\/v2\/sessions"/],
  ] as const) {
    const [gotStatus, gotCode, gotMessage] = await fault(path);
    assert.deepEqual([gotStatus, gotCode], [status, code], path);
    assert.match(gotMessage, message);
  }
});

test('only GET and HEAD are answered', async () => {
  const posted = await raw('/v1/sessions', { method: 'POST' });
  assert.equal(posted.status, 405);
  assert.equal(posted.headers['allow'], 'GET, HEAD');
  const head = await raw('/v1/sessions', { method: 'HEAD' });
  assert.deepEqual([head.status, head.text], [200, '']);
});

test('readiness tells its reasons; health and metrics are plain', async () => {
  assert.equal((await raw('/readyz')).status, 200);
  Object.assign(state, { ready: false, reasons: ['0 of 1 edges are attached'] });
  const { status, text } = await raw('/readyz');
  Object.assign(state, { ready: true, reasons: [] });
  assert.equal(status, 503);
  assert.deepEqual(JSON.parse(text), { ready: false, reasons: ['0 of 1 edges are attached'] });
  assert.equal((await raw('/healthz')).text, 'ok\n');
  const metrics = await raw('/metrics');
  assert.match(metrics.text, /^trunkline_fleet_sessions 3$/m);
  assert.match(String(metrics.headers['content-type']), /version=0\.0\.4/);
});

test('with a token, /v1 wants it; the page, health and metrics do not', async () => {
  const guarded = await open({ token: 'secret' });
  const status = async (path: string, token?: string) => {
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const response = await fetch(`http://127.0.0.1:${guarded.port}${path}`, { headers });
    await response.arrayBuffer();
    return response.status;
  };
  for (const path of ['/v1/sessions', '/v1/edges', '/v1/sessions:watch', '/v1/unknown']) {
    assert.equal(await status(path), 401, path);
    assert.equal(await status(path, 'wrong'), 401, path);
  }
  assert.equal(await status('/v1/sessions', 'secret'), 200);
  for (const path of ['/', '/healthz', '/readyz', '/metrics']) {
    assert.equal(await status(path), 200, path);
  }
  await guarded.close();
});

test('without a token a foreign host name is turned away, so that no page can borrow ours', async () => {
  const [status, code] = await fault('/v1/sessions', { headers: { host: 'evil.example' } });
  assert.deepEqual([status, code], [403, 'not-authorized']);
  assert.equal((await raw('/v1/sessions', { headers: { host: 'localhost:9999' } })).status, 200);
});

test('the console is served with its policy, its files for ever, and nothing beside it', async () => {
  const page = await raw('/');
  assert.equal(page.headers['content-type'], 'text/html; charset=utf-8');
  assert.equal(
    page.headers['content-security-policy'],
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'",
  );
  assert.equal(page.headers['x-content-type-options'], 'nosniff');
  assert.equal(page.headers['cache-control'], 'no-cache');
  const etag = String(page.headers['etag']);
  const again = await raw('/', { headers: { 'if-none-match': etag } });
  assert.deepEqual([again.status, again.text], [304, '']);
  const script = await raw('/assets/index-abc123.js');
  assert.equal(script.headers['content-type'], 'text/javascript; charset=utf-8');
  assert.match(String(script.headers['cache-control']), /immutable/);
  for (const path of [
    '/../package.json',
    '/assets/../../x',
    '/assets/%2e%2e/index.html',
    '//etc',
  ]) {
    assert.equal((await raw(path)).status, 404, path);
  }
});

test('a console that was not built is said so', async () => {
  const bare = await open({ consoleDirectory: join(consoleDirectory, 'absent') });
  const response = await fetch(`http://127.0.0.1:${bare.port}/`);
  assert.equal(response.status, 404);
  assert.match(await response.text(), /not built; run `npm run build`/);
  await bare.close();
});

/** Text of an event stream as it comes. */
async function listen(url: string) {
  const abort = new AbortController();
  const response = await fetch(url, { signal: abort.signal });
  const stream = { text: '', response, isOver: false, stop: () => abort.abort() };
  const read = async () => {
    const decoder = new TextDecoder();
    for await (const chunk of response.body ?? []) stream.text += decoder.decode(chunk);
  };
  read().then(
    () => {
      stream.isOver = true;
    },
    () => {
      stream.isOver = true;
    },
  );
  return stream;
}

test('a watch is a stream of numbered events with heartbeats', async () => {
  const stream = await listen(`${base}/v1/sessions:watch?filter=client_id%3Da`);
  assert.equal(stream.response.headers.get('content-type'), 'text/event-stream; charset=utf-8');
  await until(() => stream.text.includes('snapshot_end'));
  const [first, second] = stream.text.split('\n\n');
  assert.match(first ?? '', /^id: 1\nevent: snapshot\ndata: \{"client_id":"a",/);
  assert.match(
    second ?? '',
    /^id: 2:[0-9a-z.]+\nevent: snapshot_end\ndata: \{"session_count":1\}$/,
  );
  sessions.upsert('edge-1', [session('a', { queueMessages: 2 })]);
  await until(() =>
    /id: 3:[0-9a-z.]+\nevent: changed\ndata: .*"queue_messages":2/.test(stream.text),
  );
  clock.pass(15_000);
  await until(() => stream.text.includes(': heartbeat\n\n'));
  stream.stop();
  await until(() => parts.metrics.text().includes('trunkline_fleet_watches 0'));
});

test('a stop ends open watches with a closing event, and nobody holds it up', async () => {
  const other = await open();
  const stream = await listen(`http://127.0.0.1:${other.port}/v1/sessions:watch`);
  await until(() => stream.text.includes('snapshot_end'));
  await Promise.all([other.close(), other.close()]);
  await until(() => stream.isOver);
  assert.match(stream.text, /event: closing\ndata: \{"reason":"core-stopping"/);
});

test('garbage, an endless header and a cut request are answered or dropped, and others served', async () => {
  const answers = await Promise.all(
    ['\x16\x03\x01garbage\r\n\r\n', `GET / HTTP/1.1\r\nx: ${'y'.repeat(20_000)}`, 'GET'].map(
      (text) =>
        new Promise<string>((resolve) => {
          const socket = connect(door.port, '127.0.0.1', () => socket.write(text));
          let answer = '';
          socket.on('data', (part) => {
            answer += part.toString();
          });
          socket.on('error', () => {});
          socket.on('close', () => resolve(answer));
          if (text === 'GET') socket.on('connect', () => socket.destroy());
        }),
    ),
  );
  assert.match(answers[0] ?? '', /^HTTP\/1\.1 400 /);
  assert.match(answers[1] ?? '', /^HTTP\/1\.1 400 |^$/);
  assert.equal((await raw('/healthz')).status, 200);
});

test('a port that is in use is said in one sentence with the flag that chooses another', async () => {
  const taken = await takenPort();
  await assert.rejects(open({ port: taken.port }), { code: 'port-in-use', message: /--http-port/ });
  await taken.release();
});

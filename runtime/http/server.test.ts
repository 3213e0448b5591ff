import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { test } from "node:test";
import { type CloudEvent, EddyError, type StoredEvent } from "../events/index.ts";
import { createApp } from "./app.ts";
import { serveHttp } from "./server.ts";

interface Served extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly stored: CloudEvent[];
  readonly bugs: unknown[];
  /** Stores that wait until this is called. */
  release(): void;
  close(): Promise<void>;
}

async function served({ held = false } = {}): Promise<Served> {
  const stored: CloudEvent[] = [];
  const bugs: unknown[] = [];
  let release = () => {};
  const gate = held
    ? new Promise<void>((resolve) => {
        release = resolve;
      })
    : Promise.resolve();
  const app = createApp({
    async store(events) {
      stored.push(...events);
      await gate;
      return events.map(({ id, source }): StoredEvent => {
        return { id, source, stream: "EVENTS", seq: 1, duplicate: false };
      });
    },
    projections: {
      list: async () => [],
      keys: async () => undefined,
      entries: async () => undefined,
      get: async (_, key) => ({ key, value: { key }, revision: 7, time: new Date(0) }),
      reach: async () => undefined,
      watch: async () => (async function* () {})(),
    },
    readiness: () => ({ ready: true }),
    metrics: async () => "",
    closing: new AbortController().signal,
    bodyBytesMax: 10_000,
    unexpected: (error) => bugs.push(error),
  });
  const server = await serveHttp(app, { host: "127.0.0.1", port: 0 });
  return { ...server, stored, bugs, release: () => release(), [Symbol.asyncDispose]: server.close };
}

/** Sends raw bytes on one connection and returns all that comes until the server closes it. */
async function raw(port: number, ...chunks: (string | Buffer)[]): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  let text = "";
  socket.setEncoding("utf8");
  socket.on("data", (chunk) => {
    text += chunk;
  });
  socket.on("error", () => {});
  for (const chunk of chunks)
    socket.write(typeof chunk === "string" ? Buffer.from(chunk, "utf8") : chunk);
  await once(socket, "close");
  return text;
}

const head = "POST /events HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
const attributes = "ce-specversion: 1.0\r\nce-source: /s\r\nce-type: t\r\n";

test("attributes come raw as UTF-8, as latin-1 and percent-encoded, and mean the same", async () => {
  await using server = await served();
  const request = (id: string | Buffer) =>
    Buffer.concat([
      Buffer.from(`${head}${attributes}ce-id: `),
      Buffer.from(id),
      Buffer.from("\r\nContent-Length: 0\r\n\r\n"),
    ]);
  for (const [sent, id] of [
    ["é€😀", "é€😀"],
    [Buffer.from([0x63, 0xe9]), "cé"],
    ["%C3%A9%20%E2%82%AC%F0%9F%98%80", "é €😀"],
    ["voilà", "voilà"],
    ["%00%0D%0ANats-Rollup: all", "\0\r\nNats-Rollup: all"],
    ['"a b"', "a b"],
    ["100%", "100%"],
    ["a, b", "a, b"],
  ] as const) {
    assert.match(await raw(server.port, request(sent)), /^HTTP\/1\.1 202 /);
    assert.equal(server.stored.pop()?.id, id);
  }
});

test("an attribute in two headers is refused and named; no header of ours is taken from outside", async () => {
  await using server = await served();
  const twice = await raw(
    server.port,
    `${head}${attributes}ce-id: a\r\nCE-ID: a\r\nContent-Length: 0\r\n\r\n`,
  );
  assert.match(twice, /^HTTP\/1\.1 400 .*"code":"EDDY_EVENT_ATTRIBUTE","attribute":"id"/s);
  const types = await raw(
    server.port,
    `${head}${attributes}ce-id: a\r\nContent-Type: a/b\r\nContent-Type: a/c\r\nContent-Length: 0\r\n\r\n`,
  );
  assert.match(types, /^HTTP\/1\.1 415 /);
  assert.equal(server.stored.length, 0);
  await raw(
    server.port,
    `${head}${attributes}ce-id: a\r\nNats-Msg-Id: x\r\nContent-Length: 0\r\n\r\n`,
  );
  assert.deepEqual(server.stored.pop()?.extensions, {});
});

test("a body is bounded while it is read, with and without a content length", async () => {
  await using server = await served();
  const chunk = Buffer.alloc(4_000, "x").toString();
  const chunked = `${head}${attributes}ce-id: a\r\nTransfer-Encoding: chunked\r\n\r\n`;
  const endless = Array.from({ length: 50 }, () => `fa0\r\n${chunk}\r\n`);
  assert.match(
    await raw(server.port, chunked, ...endless),
    /^HTTP\/1\.1 413 .*EDDY_HTTP_BODY_TOO_LARGE/s,
  );
  const announced = `${head}${attributes}ce-id: a\r\nContent-Length: 100000000\r\n\r\n`;
  assert.match(await raw(server.port, announced, chunk), /^HTTP\/1\.1 413 /);
  const text = `${head}${attributes}ce-id: a\r\nContent-Type: text/plain\r\n`;
  const small = await raw(
    server.port,
    `${text}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n`,
  );
  assert.match(small, /^HTTP\/1\.1 202 /);
  assert.equal(server.stored.pop()?.data, "abcde");
  assert.equal(server.stored.length, 0);
});

test("10 kB of emoji in each attribute fit into headers; more than that is said", async () => {
  await using server = await served();
  const id = encodeURIComponent("😀".repeat(2_500));
  const fits = `ce-specversion: 1.0\r\nce-source: ${id}\r\nce-type: t\r\nce-subject: ${id}\r\nce-id: ${id}\r\nContent-Length: 0\r\n\r\n`;
  assert.match(await raw(server.port, head, fits), /^HTTP\/1\.1 202 /);
  const huge = `ce-x: ${"x".repeat(200_000)}\r\n\r\n`;
  assert.match(
    await raw(server.port, head, huge),
    /^HTTP\/1\.1 431 .*application\/problem\+json.*EDDY_HTTP_HEADERS_TOO_LARGE/s,
  );
});

test("what is no HTTP gets a problem document, and the server lives on", async () => {
  await using server = await served();
  for (const bytes of [
    "nonsense\r\n\r\n",
    "GET /healthz HTTP/1.1\r\nHost: x\r\nbad header\r\n\r\n",
    "POST /events HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    "POST /events HTTP/1.1\r\nHost: x\r\nce-id: a\0b\r\nContent-Length: 0\r\n\r\n",
    "GET /healthz HTTP/1.1\r\nHost: a b\r\nConnection: close\r\n\r\n",
    "GET \\\\evil HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
  ]) {
    const response = await raw(server.port, bytes);
    assert.match(
      response,
      /^HTTP\/1\.1 400 .*application\/problem\+json.*EDDY_HTTP_MALFORMED/s,
      bytes,
    );
    assert.doesNotMatch(response, /node:|\.ts:/);
  }
  assert.equal((await fetch(`${server.url}/healthz`)).status, 200);
});

test("a client that goes away within its body is no bug and stores nothing", async () => {
  await using server = await served();
  const socket = connect(server.port, "127.0.0.1");
  socket.write(`${head}${attributes}ce-id: a\r\nContent-Length: 100\r\n\r\nhalf`);
  await new Promise((resolve) => setTimeout(resolve, 20)); // so that its headers are read before it goes
  socket.destroy();
  for (let n = 0; n < 5; n++) assert.equal((await fetch(`${server.url}/healthz`)).status, 200);
  assert.deepEqual([server.stored, server.bugs], [[], []]);
});

test("an entry that the client has is answered with 304 and no body", async () => {
  await using server = await served();
  const get = "GET /projections/p/a%2Fb HTTP/1.1\r\nHost: x\r\nConnection: close\r\n";
  assert.match(
    await raw(server.port, `${get}\r\n`),
    /^HTTP\/1\.1 200 .*etag: "7".*\{"key":"a\/b"\}$/s,
  );
  assert.match(
    await raw(server.port, `${get}If-None-Match: "7"\r\n\r\n`),
    /^HTTP\/1\.1 304 [^{]*\r\n\r\n$/s,
  );
});

test("H1: closing lets requests in flight finish and does not wait for idle connections", async () => {
  await using server = await served({ held: true });
  const idle = connect(server.port, "127.0.0.1");
  idle.on("error", () => {});
  idle.write("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
  await once(idle, "data");
  const flying = fetch(`${server.url}/events`, {
    method: "POST",
    headers: { "ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "t" },
  });
  while (server.stored.length === 0) await new Promise((resolve) => setTimeout(resolve, 2));
  const started = performance.now();
  const closed = server.close();
  await assert.rejects(connected(server.port), /ECONNREFUSED/);
  server.release();
  assert.equal((await flying).status, 202);
  await closed;
  assert.ok(performance.now() - started < 2_000);
});

async function connected(port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  return socket;
}

test("a port that is taken is said, with what to do", async () => {
  const other = createServer().listen(0, "127.0.0.1");
  await once(other, "listening");
  const { port } = other.address() as { port: number };
  const app = createApp({} as Parameters<typeof createApp>[0]);
  await assert.rejects(serveHttp(app, { host: "127.0.0.1", port }), (error) => {
    assert.ok(error instanceof EddyError);
    assert.equal(error.code, "EDDY_HTTP_PORT_TAKEN");
    assert.match(
      error.message,
      new RegExp(`port ${port} on 127\\.0\\.0\\.1 is taken.*EDDY_HTTP_PORT`),
    );
    return true;
  });
  other.close();
  await assert.rejects(serveHttp(app, { host: "256.0.0.1", port: 0 }), (error) => {
    return error instanceof EddyError && error.code === "EDDY_HTTP_LISTEN";
  });
});

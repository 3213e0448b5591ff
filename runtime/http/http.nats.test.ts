import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";
import { jetstreamManager } from "@nats-io/jetstream";
import { startNats, type TestNats } from "../../tests/support/nats.ts";
import { createIngress, ensureStream, homeStreamConfig } from "../broker/index.ts";
import { openProjectionReader } from "../projections/index.ts";
import { createApp } from "./app.ts";
import { serveHttp } from "./server.ts";

interface Answer {
  readonly events: readonly {
    id: string;
    source: string;
    stream: string;
    seq: number;
    position: string;
    duplicate: boolean;
  }[];
}

async function node(nats: TestNats, maxBytes = 500_000_000) {
  const nc = await nats.connect({ maxReconnectAttempts: -1, reconnectTimeWait: 50 });
  const jsm = await jetstreamManager(nc);
  await ensureStream(jsm, homeStreamConfig("EVENTS", maxBytes));
  const app = createApp({
    unexpected(error) {
      throw error;
    },
    store: createIngress(nc, { stream: "EVENTS" }),
    projections: await openProjectionReader(nc, { app: "test", home: "EVENTS" }),
    readiness: () => ({ ready: true }),
    metrics: async () => "",
    closing: new AbortController().signal,
    bodyBytesMax: 2_000_000,
  });
  const server = await serveHttp(app, { host: "127.0.0.1", port: 0 });
  const post = (path: string, headers: Record<string, string>, body: string) =>
    fetch(`${server.url}${path}`, { method: "POST", headers, body });
  return { ...server, jsm, post, [Symbol.asyncDispose]: server.close };
}

const batch = { "content-type": "application/cloudevents-batch+json" };
const envelope = (id: string, data: unknown = {}) => {
  return { specversion: "1.0", id, source: "/s", type: "com.acme.x", data };
};

test("a batch is stored before it is answered, and is a duplicate the second time", async () => {
  await using nats = await startNats();
  await using server = await node(nats);
  const body = JSON.stringify(Array.from({ length: 100 }, (_, n) => envelope(`e${n}`)));
  for (const duplicate of [false, true]) {
    const response = await server.post("/events", batch, body);
    assert.equal(response.status, 202);
    const { events } = (await response.json()) as Answer;
    assert.equal((await server.jsm.streams.info("EVENTS")).state.messages, 100);
    assert.deepEqual(
      events,
      Array.from({ length: 100 }, (_, n) => {
        const at = { stream: "EVENTS", seq: n + 1, position: `EVENTS:${n + 1}` };
        return { id: `e${n}`, source: "/s", ...at, duplicate };
      }),
    );
  }
});

test("all real deliveries of GitHub are stored once, however often they are sent", async () => {
  await using nats = await startNats({ sync: "default" });
  await using server = await node(nats);
  const examples: { name: string; examples: unknown[] }[] = createRequire(import.meta.url)(
    "@octokit/webhooks-examples/api.github.com/index.json",
  );
  const deliveries = examples.flatMap(({ name, examples: payloads }) =>
    payloads.map((payload) => [name, JSON.stringify(payload)] as const),
  );
  for (const pass of ["first", "second"]) {
    for (const [n, [name, body]] of deliveries.entries()) {
      const headers = {
        "content-type": "application/json",
        "x-github-event": name,
        "x-github-delivery": `delivery-${n}`,
      };
      const response = await server.post("/webhooks/github", headers, body);
      assert.equal(response.status, 202, name);
      const { events } = (await response.json()) as Answer;
      assert.equal(events[0]?.duplicate, pass === "second");
    }
    const { state } = await server.jsm.streams.info("EVENTS");
    assert.equal(state.messages, deliveries.length);
  }
});

test("full, too large and not connected are told apart", async () => {
  await using nats = await startNats();
  await using server = await node(nats, 100_000);
  const code = async (response: Response) => {
    const said = (await response.json()) as { status: number; code: string };
    assert.equal(said.status, response.status);
    return [said.status, said.code];
  };
  const fill = (id: string, bytes: number) =>
    server.post("/events", batch, JSON.stringify([envelope(id, "x".repeat(bytes))]));
  assert.equal((await fill("1", 80_000)).status, 202);
  assert.deepEqual(await code(await fill("2", 80_000)), [507, "EDDY_HOME_FULL"]);
  assert.deepEqual(await code(await fill("3", 1_100_000)), [413, "EDDY_EVENT_TOO_LARGE"]);
  await nats.kill();
  assert.deepEqual(await code(await fill("4", 10)), [503, "EDDY_NOT_CONNECTED"]);
});

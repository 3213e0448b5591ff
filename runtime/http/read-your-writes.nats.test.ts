import assert from "node:assert/strict";
import { test } from "node:test";
import { Type } from "typebox";
import { startNats, type TestNats } from "../../tests/support/nats.ts";
import { startTestPipeline } from "../../tests/support/pipeline.ts";
import { event, type Projection, projection } from "../authoring/index.ts";
import { createIngress } from "../broker/index.ts";
import { openProjectionReader } from "../projections/index.ts";
import { createApp } from "./app.ts";
import { serveHttp } from "./server.ts";

const Counted = event("com.acme.counted", Type.Object({ key: Type.String(), n: Type.Integer() }));
const counts = projection("counts", {
  from: [Counted],
  retry: ["1s"],
  key: (e) => e.data.key,
  apply(_, e) {
    if (e.data.n < 0) throw new Error("less than nothing");
    return e.data;
  },
});

async function node(nats: TestNats, folded: Projection = counts as unknown as Projection) {
  const pipeline = await startTestPipeline(nats);
  await pipeline.run({ [folded.name]: folded });
  await pipeline.running(folded.name);
  const { broker } = pipeline;
  const app = createApp({
    unexpected(error) {
      throw error;
    },
    store: createIngress(broker.nc, { stream: broker.home }),
    projections: await openProjectionReader(broker.nc, broker),
    readiness: () => ({ ready: true }),
    metrics: async () => "",
    closing: new AbortController().signal,
    bodyBytesMax: 100_000,
  });
  const server = await serveHttp(app, { host: "127.0.0.1", port: 0 });
  let sent = 0;
  return {
    pipeline,
    async post(type: string, data: unknown): Promise<string> {
      const headers = { "ce-specversion": "1.0", "ce-id": `e${++sent}`, "ce-source": "/t" };
      const response = await fetch(`${server.url}/events`, {
        method: "POST",
        headers: { ...headers, "ce-type": type, "content-type": "application/json" },
        body: JSON.stringify(data),
      });
      const { events } = (await response.json()) as { events: { position: string }[] };
      return events[0]?.position ?? assert.fail("no event was stored");
    },
    get: (key: string, query = "") => fetch(`${server.url}/projections/counts/${key}${query}`),
    async [Symbol.asyncDispose]() {
      await server.close();
      await pipeline[Symbol.asyncDispose]();
    },
  };
}

test("W1: who reads after its write sees it: 5,000 pairs, half of them on keys that are new", async () => {
  await using nats = await startNats({ sync: "default" });
  await using server = await node(nats);
  let next = 0;
  let pairs = 0;
  const pair = async (n: number, writer: number) => {
    const key = n % 2 === 0 ? `new-${n}` : `old-${writer}`; // nobody else's, so that its numbers rise
    const position = await server.post(Counted.type, { key, n });
    const response = await server.get(key, `?after=${position}&wait=10s`);
    assert.equal(response.status, 200, await response.clone().text());
    const seen = (await response.json()) as { n: number };
    assert.ok(seen.n >= n, `${key}: ${seen.n} was read after ${n} was written`);
    pairs++;
  };
  const writers = Array.from({ length: 64 }, async (_, writer) => {
    while (next < 5_000) await pair(next++, writer);
  });
  await Promise.all(writers);
  assert.equal(pairs, 5_000);
});

test("P2: a wait for an event that the projection does not read ends, also for an entry that is not there", async () => {
  await using nats = await startNats();
  await using server = await node(nats);
  const position = await server.post("com.acme.other", {});
  const response = await server.get("nobody", `?after=${position}&wait=10s`);
  assert.equal(response.status, 404);
  assert.equal(response.headers.get("eddy-position"), position);
  assert.equal(response.headers.get("eddy-staleness"), "0.000");
});

test("a wait that is over before says so with the position, and a projection that lacks the event says that", async () => {
  await using nats = await startNats();
  await using server = await node(nats);
  const first = await server.post(Counted.type, { key: "k", n: 1 });
  assert.equal((await server.get("k", `?after=${first}`)).status, 200);
  const failing = await server.post(Counted.type, { key: "k", n: -1 });
  const early = await server.get("k", `?after=${failing}&wait=300ms`);
  assert.equal(early.status, 504);
  const { code, detail } = (await early.json()) as { code: string; detail: string };
  assert.equal(code, "EDDY_PROJECTION_BEHIND");
  assert.match(detail, /has not passed EVENTS:\d+ within 300 ms.*waits for its next attempt/);
  const late = await server.get("k", `?after=${failing}&wait=10s`);
  assert.equal(late.status, 409);
  assert.equal(((await late.json()) as { code: string }).code, "EDDY_PROJECTION_LACKS");
  assert.deepEqual(await (await server.get("k")).json(), { key: "k", n: 1 });
});

test("P2: a position that nothing stands at yet is not passed", async () => {
  await using nats = await startNats();
  await using server = await node(nats);
  await server.post(Counted.type, { key: "k", n: 1 });
  const response = await server.get("k", "?after=EVENTS:1000&wait=200ms");
  assert.equal(response.status, 504);
});

test("P2: who waits for a position before anything stands there sees what is stored there", async () => {
  await using nats = await startNats({ sync: "default" });
  await using server = await node(nats);
  let next = Number((await server.post(Counted.type, { key: "k", n: 0 })).split(":")[1]);
  for (let n = 1; n <= 100; n++) {
    const guess = next + 1 + (n % 2); // its ledger's records stand in its bucket, so that events follow each other
    const waiting = server.get("k", `?after=EVENTS:${guess}&wait=10s`);
    for (; next < guess; next++) await server.post(Counted.type, { key: "k", n: next + 1 });
    const { n: seen } = (await (await waiting).json()) as { n: number };
    assert.ok(seen >= guess, `${seen} was read after ${guess}`);
  }
});

test("W2: a crowd that waits asks the server hardly more often than one who does", async () => {
  await using nats = await startNats({ sync: "default" });
  await using server = await node(nats);
  await server.post(Counted.type, { key: "k", n: 1 });
  let asked = 0;
  const spy = await nats.connect();
  spy.subscribe("$JS.API.CONSUMER.INFO.EVENTS.*", { callback: () => void asked++ });
  await spy.flush();
  const crowd = Array.from({ length: 200 }, () => server.get("k", "?after=EVENTS:9&wait=500ms"));
  for (const response of await Promise.all(crowd)) assert.equal(response.status, 504);
  assert.ok(asked > 5 && asked < 1_000, `${asked} times`);
});

test("a stopped projection is behind, and says where it is and for how long", async () => {
  await using nats = await startNats();
  await using server = await node(nats);
  const first = await server.post(Counted.type, { key: "k", n: 1 });
  assert.equal((await server.get("k", `?after=${first}`)).status, 200);
  await server.pipeline.run({});
  const second = await server.post(Counted.type, { key: "k", n: 2 });
  const response = await server.get("k", `?after=${second}&wait=100ms`);
  assert.equal(response.status, 504);
  assert.equal(response.headers.get("eddy-position"), first);
  const stale = await server.get("k");
  assert.equal(stale.status, 200);
  assert.ok(Number(stale.headers.get("eddy-staleness")) > 0.1);
});

test("positions and waits that are none, and streams that it does not read, are said", async () => {
  await using nats = await startNats();
  await using server = await node(nats);
  for (const query of [
    "?after=7",
    "?after=EVENTS",
    "?after=EVENTS:1&wait=1h",
    "?after=EVENTS:1&wait=x",
    "?wait=1s",
  ]) {
    const response = await server.get("k", query);
    assert.equal(response.status, 400, query);
    assert.equal(((await response.json()) as { code: string }).code, "EDDY_HTTP_QUERY", query);
  }
  const other = await server.get("k", "?after=OTHERS:1");
  assert.equal(other.status, 400);
  assert.equal(((await other.json()) as { code: string }).code, "EDDY_PROJECTION_INPUT");
});

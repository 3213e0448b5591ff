import assert from "node:assert/strict";
import { test } from "node:test";
import { Type } from "typebox";
import { eventually } from "../../tests/support/eventually.ts";
import { startNats, type TestNats } from "../../tests/support/nats.ts";
import { makeTestEvent, produce, startTestPipeline } from "../../tests/support/pipeline.ts";
import { event, type Handler, type Projection, projection } from "../authoring/index.ts";
import { createIngress, storeBatch } from "../broker/index.ts";
import { encodeMessage, eventSubject, keyOf } from "../events/index.ts";
import { openPast, openProjectionReader } from "../projections/index.ts";
import { createApp } from "./app.ts";
import { serveHttp } from "./server.ts";

const Noted = event("com.acme.noted", Type.Object({ key: Type.String(), n: Type.Integer() }));
const notes = projection("notes", {
  from: [Noted],
  key: (e) => e.data.key,
  apply: (_, e) => (e.data.n < 0 ? null : { n: e.data.n }),
});
const declaration = notes as unknown as Projection;
const handler: Handler = { name: "notes", file: "notes.ts", version: "v1", declaration };

async function node(nats: TestNats) {
  const pipeline = await startTestPipeline(nats);
  await pipeline.run({ notes: declaration });
  const { broker } = pipeline;
  const runs = { deadlineMs: 5_000, readEntry: async () => ({ value: undefined }) };
  const past = openPast({ broker, runs, handlers: () => [handler] }, 1);
  const app = createApp({
    unexpected(error) {
      throw error;
    },
    store: createIngress(broker.nc, { stream: broker.home }),
    projections: await openProjectionReader(broker.nc, broker),
    past: () => past,
    readiness: () => ({ ready: true }),
    metrics: async () => "",
    closing: new AbortController().signal,
    bodyBytesMax: 100_000,
  });
  const server = await serveHttp(app, { host: "127.0.0.1", port: 0 });
  const get = async (path: string, signal?: AbortSignal) => {
    const response = await fetch(`${server.url}/projections/${path}`, signal ? { signal } : {});
    const body: unknown = await response.json();
    return { status: response.status, headers: response.headers, body };
  };
  return {
    broker,
    pipeline,
    get,
    async note(key: string, n: number, id = `${key}-${n}`) {
      await produce(broker, [makeTestEvent(Noted.type, id, { key, n })]);
    },
    async [Symbol.asyncDispose]() {
      await server.close();
      await pipeline[Symbol.asyncDispose]();
    },
  };
}

test("an entry at a moment, its history, and what changed: for keys of any name", async () => {
  await using nats = await startNats();
  await using served = await node(nats);
  const { get, note } = served;
  for (const key of ["diff", "watch", "a/b c"]) {
    await note(key, 1);
    await note(key, 2);
  }
  await note("diff", -1);
  await served.pipeline.settled();
  for (const [at, key] of ["diff", "watch", "a%2Fb%20c"].entries()) {
    const { status, body, headers } = await get(`notes/${key}?at=EVENTS:${at * 2 + 1}`);
    assert.deepEqual([status, body], [200, { n: 1 }], key);
    assert.equal(headers.get("eddy-position"), `EVENTS:${at * 2 + 1}`);
    assert.equal(headers.get("eddy-present"), "false");
  }
  const gone = await get("notes/diff?at=0ms");
  assert.equal(gone.status, 404);
  assert.equal(gone.headers.get("eddy-present"), "true");
  assert.match(JSON.stringify(gone.body), /EDDY_ENTRY_UNKNOWN.*id diff--1\) at EVENTS:7/);
  assert.equal((await get("notes/watch")).status, 200, "the entry as it is now");

  const { body: told } = await get("notes/diff?history=true&limit=2");
  const { events, ...rest } = told as { events: { what: string; id: string }[] };
  assert.deepEqual(rest, { key: "diff", position: "EVENTS:7", older: 1 });
  assert.deepEqual(
    events.map(({ id, what }) => [id, what]),
    [
      ["diff-2", "set"],
      ["diff--1", "removed"],
    ],
  );

  const { body: changed } = await get("notes?from=EVENTS:2&to=EVENTS:7&limit=2");
  assert.deepEqual(changed, {
    ...{ from: "EVENTS:2", to: "EVENTS:7", present: true, added: 2, removed: 1, changed: 0 },
    changes: [
      { key: "a/b c", kind: "added", after: { n: 2 } },
      { key: "diff", kind: "removed", before: { n: 2 } },
    ],
    next: "diff",
  });
  const { body: next } = await get("notes?from=2&to=7&after=diff");
  const { changes } = next as { changes: { key: string }[] };
  assert.deepEqual(
    changes.map(({ key }) => key),
    ["watch"],
  );
});

test("what cannot be asked is a problem that says why", async () => {
  await using nats = await startNats();
  await using served = await node(nats);
  const { get, note } = served;
  await note("a", 1);
  const cases: [string, number, RegExp][] = [
    ["notes/a?at=", 400, /EDDY_HTTP_QUERY.*at must be a time/],
    ["notes/a?at=soon", 400, /EDDY_HTTP_QUERY.*at must be a time/],
    ["notes/a?at=OTHER:1", 400, /EDDY_HTTP_QUERY.*a position of EVENTS/],
    ["notes/a?at=1&history=true", 400, /EDDY_HTTP_QUERY.*not for both/],
    ["notes/a?at=1&after=EVENTS:1", 400, /EDDY_HTTP_QUERY.*after is for/],
    ["notes/a?history=yes", 400, /EDDY_HTTP_QUERY.*history must be true/],
    ["notes/a?history=true&limit=0", 400, /EDDY_HTTP_QUERY.*limit must be/],
    ["notes?to=1", 400, /EDDY_HTTP_QUERY.*needs a from/],
    ["notes?from=1&to=nope", 400, /EDDY_HTTP_QUERY.*to must be/],
    ["notes?from=1&limit=x", 400, /EDDY_HTTP_QUERY.*limit must be/],
    ["notes?from=1&to=0", 400, /EDDY_PAST_ORDER/],
    ["notes/a?at=EVENTS:0", 404, /EDDY_PAST_BEFORE.*EVENTS:1, stored/],
    ["notes/b?at=EVENTS:1", 404, /EDDY_ENTRY_UNKNOWN.*no event had made one/],
    ["others/a?at=1", 404, /EDDY_PAST_CODE/],
    ["%ff/a?at=1", 404, /EDDY_PAST_CODE/],
  ];
  for (const [path, status, said] of cases) {
    const answer = await get(path);
    assert.equal(answer.status, status, `${path}: ${JSON.stringify(answer.body)}`);
    assert.match(JSON.stringify(answer.body), said, path);
  }
  await note("a", 2);
  await served.broker.jsm.streams.purge("EVENTS", { seq: 2 });
  assert.equal((await get("notes/a?at=2")).status, 410);
});

test("A1: a client that goes away stops the read, and frees the place", async () => {
  await using nats = await startNats({ sync: "default" });
  await using served = await node(nats);
  const { broker, get } = served;
  for (let batch = 0; batch < 40; batch++) {
    const messages = Array.from({ length: 1_000 }, (_, n) => {
      const made = makeTestEvent(Noted.type, `e${batch}-${n}`, { key: `k${n}`, n });
      return { natsSubject: eventSubject(made.type, keyOf(made)), ...encodeMessage(made) };
    });
    assert.equal((await storeBatch(broker.nc, messages, 10_000)).kind, "stored");
  }
  await served.pipeline.settled();
  const aside = async () => {
    let found = 0;
    for await (const { name } of broker.jsm.consumers.list("EVENTS"))
      if (!name.startsWith("test==")) found++;
    return found;
  };
  await eventually(async () => (await aside()) === 0);
  const leaving = new AbortController();
  const asked = get("notes/k1?history=true", leaving.signal);
  asked.catch(() => {});
  await eventually(async () => (await aside()) > 0);
  const other = await get("notes/k2?at=1");
  assert.deepEqual([other.status, other.headers.get("retry-after")], [503, "1"]);
  assert.match(JSON.stringify(other.body), /EDDY_PAST_BUSY/);
  leaving.abort();
  await assert.rejects(asked);
  await eventually(async () => (await get("notes/k2?at=1")).status !== 503, { timeoutMs: 2_000 });
  await eventually(async () => (await aside()) === 0);
});

import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { EddyError } from "../events/index.ts";
import type { Change, WatchOptions } from "../projections/index.ts";
import { createApp } from "./app.ts";

/** An app over a projection whose changes never end; what was asked for, and how many changes were taken. */
function appOf(change: (n: number) => Change) {
  const asked: WatchOptions[] = [];
  const closing = new AbortController();
  const seen = { taken: 0 };
  const none = async () => undefined;
  const app = createApp({
    store: async () => [],
    projections: {
      ...{ list: async () => [], keys: none, entries: none, reach: none },
      get: async (_, key) => ({ key, value: { key }, revision: 7, time: new Date(0) }),
      async watch(name, options) {
        if (name !== "p") throw new EddyError("EDDY_PROJECTION_UNKNOWN", "there is none");
        asked.push(options);
        return (async function* () {
          while (!options.signal.aborted) yield change(++seen.taken);
        })();
      },
    },
    readiness: () => ({ ready: true }),
    metrics: async () => "",
    closing: closing.signal,
    bodyBytesMax: 1_000,
    unexpected(error) {
      throw error;
    },
  });
  const watch = (query = "", headers: Record<string, string> = {}) =>
    app.request(`/projections/p/watch${query}`, {
      headers: { accept: "text/event-stream", ...headers },
    });
  return { app, asked, closing, seen, watch };
}

const small = (n: number): Change => ({
  key: "k",
  value: { text: "a\nb\r\n" },
  revision: n,
  bucket: "b",
});
const turns = async () => {
  for (let n = 0; n < 20; n++) await new Promise((resolve) => setImmediate(resolve));
};

test("a change is one event, whatever its value holds; where to go on is asked for as it was told", async () => {
  const { watch, asked } = appOf(small);
  const response = await watch("?key=a%2Fb&prefix=a", { "last-event-id": "41-c" });
  assert.match(response.headers.get("content-type") ?? "", /^text\/event-stream/);
  const reader = response.body?.getReader();
  const text = new TextDecoder().decode((await reader?.read())?.value);
  assert.equal(
    text,
    'id: 1-b\nevent: change\ndata: {"key":"k","value":{"text":"a\\nb\\r\\n"},"revision":1}\n\n',
  );
  const { key, prefix, since } = asked[0] ?? {};
  assert.deepEqual([key, prefix, since], ["a/b", "a", { revision: 41, bucket: "c" }]);
  await reader?.cancel();
  assert.equal(asked[0]?.signal.aborted, true);
  await watch("?since=41");
  assert.deepEqual(asked[1]?.since, { revision: 41 });
});

test("S1: a client that never reads takes a few changes and no more, and is cut off after a minute", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    const { watch, seen, asked } = appOf(small);
    const response = await watch();
    await turns();
    assert.ok(seen.taken <= 3, `${seen.taken} were taken`);
    assert.equal(asked[0]?.signal.aborted, false);
    mock.timers.tick(60_000);
    await turns();
    assert.equal(asked[0]?.signal.aborted, true);
    await assert.rejects(response.text(), /does not read/);
  } finally {
    mock.timers.reset();
  }
});

test("S2: a watch ends with the node", async () => {
  const { watch, closing } = appOf(small);
  const response = await watch();
  closing.abort();
  const text = await response.text();
  assert.match(text, /^id: 1-b\n/);
});

test("S3: what ends a watch is told as a problem, behind what was told before", async () => {
  const { watch } = appOf((n) => {
    if (n === 1) return small(n);
    throw new EddyError("EDDY_ENTRY_UNREADABLE", "the entry is no JSON");
  });
  const [change, problem] = (await (await watch()).text()).split("\n\n");
  assert.match(change ?? "", /^id: 1-b\n/);
  assert.match(problem ?? "", /^event: problem\ndata: .*"status":500.*the entry is no JSON/);
});

test("so many clients may watch; one that is gone makes room", async () => {
  const { watch } = appOf(small);
  const open = await Promise.all(Array.from({ length: 200 }, () => watch()));
  const refused = await watch();
  assert.equal(refused.status, 503);
  assert.equal(((await refused.json()) as { code: string }).code, "EDDY_HTTP_BUSY");
  await open[0]?.body?.cancel();
  assert.equal((await watch()).status, 200);
});

test("what is no revision and no projection is said; without the media type it is the entry of that key", async () => {
  const { app, watch } = appOf(small);
  for (const since of ["-1", "x", "1.5", "9".repeat(16), "1-", "1-A"]) {
    assert.equal((await watch(`?since=${since}`)).status, 400, since);
  }
  const headers = { accept: "text/event-stream" };
  assert.equal((await app.request("/projections/q/watch", { headers })).status, 404);
  assert.deepEqual(await (await app.request("/projections/p/watch")).json(), { key: "watch" });
});

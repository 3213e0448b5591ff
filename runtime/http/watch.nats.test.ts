import assert from "node:assert/strict";
import { test } from "node:test";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { eventually } from "../../tests/support/eventually.ts";
import { startNats } from "../../tests/support/nats.ts";
import { bucketConfig, ensureStream, wireHeaders } from "../broker/index.ts";
import { type Change, openProjectionReader } from "../projections/index.ts";
import { createApp } from "./app.ts";
import { serveHttp } from "./server.ts";

test("W1: a client that comes back hears what has changed meanwhile, also what was deleted, and nothing twice", async () => {
  await using nats = await startNats({ sync: "default" });
  const nc = await nats.connect();
  const jsm = await jetstreamManager(nc);
  await ensureStream(jsm, bucketConfig("w"));
  const js = jetstream(nc);
  await js.publish("cursor.w", "ledger");
  const put = (key: string, value: unknown) => js.publish(`$KV.w.${key}`, JSON.stringify(value));
  const headers = wireHeaders("KV-Operation: DEL\r\nNats-TTL: 24h\r\n");
  const closing = new AbortController();
  const app = createApp({
    store: async () => [],
    projections: await openProjectionReader(nc, { app: "test", home: "EVENTS" }),
    readiness: () => ({ ready: true }),
    metrics: async () => "",
    closing: closing.signal,
    bodyBytesMax: 1_000,
    unexpected(error) {
      throw error;
    },
  });
  const server = await serveHttp(app, { host: "127.0.0.1", port: 0 });
  const watch = (more: Record<string, string>, query = "") =>
    fetch(`${server.url}/projections/w/watch${query}`, {
      headers: { accept: "text/event-stream", ...more },
      signal: AbortSignal.timeout(20_000),
    });
  await put("a", 1);
  await put("b", 1);
  await put("a", 2);
  const first = eventsIn(await watch({}));
  assert.deepEqual(await first.take(2), ["b 1", "a 2"]);
  await put("c", 1);
  assert.deepEqual(await first.take(1), ["c 1"]);
  await first.leave();
  await put("b", 2);
  await js.publish("$KV.w.a", "", { headers });
  await put("b", 3);
  const second = eventsIn(await watch({ "last-event-id": first.lastId() }));
  assert.deepEqual(await second.take(2), ["a null", "b 3"]);
  await put("d", 1);
  assert.deepEqual(await second.take(1), ["d 1"]);
  // W2: the same revision of a bucket that was made anew is another one.
  await jsm.streams.delete("KV_w");
  await ensureStream(jsm, bucketConfig("w"));
  await js.publish("cursor.w", "ledger");
  for (let n = 0; n < 12; n++) await put(`new${n}`, n);
  const all = Array.from({ length: 12 }, (_, n) => `new${n} ${n}`);
  assert.deepEqual(await second.take(12), all, "who watched all the time");
  const third = eventsIn(await watch({ "last-event-id": first.lastId() }));
  assert.deepEqual(await third.take(12), all, "who comes back");
  await js.publish("$KV.w.bad", "no JSON");
  assert.match(await second.rest(), /event: problem\ndata: .*EDDY_ENTRY_UNREADABLE/);
  for (let n = 0; n < 20; n++) await put(`large${n}`, "x".repeat(500_000));
  for (let n = 0; n < 3; n++) {
    const one = (await watch({}, "?prefix=large")).body?.getReader();
    await one?.read(); // and not the others
    await one?.cancel();
  }
  const left = async () => (await jsm.consumers.list("KV_w").next()).length;
  await third.leave();
  await eventually(async () => (await left()) === 0, { what: "that no consumer is left" });
  closing.abort();
  assert.equal(await eventsIn(await watch({})).rest(), ""); // the node has ended it
  await server.close();
});

function eventsIn(response: Response) {
  const reader = (response.body ?? assert.fail("no body")).getReader();
  const decoder = new TextDecoder();
  let text = "";
  let lastId = "";
  return {
    lastId: () => lastId,
    leave: () => reader.cancel(),
    async rest(): Promise<string> {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return text;
        text += decoder.decode(value, { stream: true });
      }
    },
    async take(count: number): Promise<string[]> {
      const found: string[] = [];
      while (found.length < count) {
        const event = /^(?:id: ([-\w]+)\n)?(?:event: change\n)?(?:data: (.*)|:)\n\n/.exec(text);
        if (event === null) {
          const { done, value } = await reader.read();
          if (done) return found;
          text += decoder.decode(value, { stream: true });
          continue;
        }
        text = text.slice(event[0].length);
        const [, id, data] = event;
        if (id === undefined || data === undefined) continue; // a beat
        lastId = id;
        const { key, value } = JSON.parse(data) as Change;
        found.push(`${key} ${value}`);
      }
      return found;
    },
  };
}

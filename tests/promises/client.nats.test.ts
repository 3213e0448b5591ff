import assert from "node:assert/strict";
import { test } from "node:test";
import { Type } from "typebox";
import { event, projection } from "../../runtime/authoring/index.ts";
import { createIngress } from "../../runtime/broker/index.ts";
import { type Change, type ClientError, createClient } from "../../runtime/client/index.ts";
import { createApp, serveHttp } from "../../runtime/http/index.ts";
import { openProjectionReader } from "../../runtime/projections/index.ts";
import { startNats } from "../support/nats.ts";
import { startTestPipeline } from "../support/pipeline.ts";

const Moved = event("com.acme.moved", Type.Object({ who: Type.String(), to: Type.String() }));
const Left = event("com.acme.left", Type.Object({ who: Type.String() }));
const places = projection("places", {
  from: [Moved, Left],
  key: (e) => e.data.who,
  apply: (_, e) => (e.type === Left.type ? null : e.data),
});

async function node() {
  const nats = await startNats({ sync: "default" });
  const test = await startTestPipeline(nats);
  await test.run({ places });
  const { broker } = test;
  const projections = await openProjectionReader(broker.nc, broker);
  const store = createIngress(broker.nc, { stream: broker.home });
  const listen = async (port: number) => {
    const closing = new AbortController();
    const app = createApp({
      ...{ store, projections, closing: closing.signal, bodyBytesMax: 100_000 },
      readiness: () => ({ ready: true }),
      metrics: async () => "",
      unexpected(error) {
        throw error;
      },
    });
    return { closing, server: await serveHttp(app, { host: "127.0.0.1", port }) };
  };
  let now = await listen(0);
  const { url, port } = now.server;
  const close = async () => {
    now.closing.abort();
    await now.server.close();
  };
  return {
    client: createClient(`${url}/`),
    async restart() {
      await close();
      now = await listen(port);
    },
    async [Symbol.asyncDispose]() {
      await close();
      await test[Symbol.asyncDispose]();
      await nats[Symbol.asyncDispose]();
    },
  };
}

const moved = (who: string, to: string) => ({ type: Moved.type, source: "/t", data: { who, to } });
const tell = ({ key, value }: Change<{ to: string }>) => `${key} ${value?.to ?? "gone"}`;

test("C1: what was published is read, and what is not there is undefined with its position", async () => {
  await using n = await node();
  const { client } = n;
  for (let step = 0; step < 50; step++) {
    const { position, duplicate } = await client.publish(moved("a/b ?", `p${step}`));
    assert.equal(duplicate, false);
    const { value, stalenessMs } = await client.read<{ to: string }>("places", "a/b ?", {
      ...{ after: position, wait: "10s" },
    });
    assert.deepEqual([value?.to, stalenessMs], [`p${step}`, 0]);
  }
  const other = await client.publish({ type: "com.acme.other", source: "/t", id: "1" });
  const none = await client.read("places", "nobody", { after: other.position, wait: "10s" });
  assert.deepEqual([none.value, none.position], [undefined, other.position]);
  const again = await client.publish({ type: "com.acme.other", source: "/t", id: "1" });
  assert.deepEqual([again.position, again.duplicate], [other.position, true]);
});

test("what the node refuses is an error with its code, status and position", async () => {
  await using n = await node();
  const { client } = n;
  const code = (code: string, status: number) => (error: ClientError) => {
    assert.deepEqual([error.code, error.status], [code, status], error.message);
    return true;
  };
  const first = await client.publish(moved("a", "p"));
  await client.read("places", "a", { after: first.position, wait: "10s" });
  const far = client.read("places", "a", { after: "EVENTS:1000000", wait: "50ms" });
  await assert.rejects(far, code("EDDY_PROJECTION_BEHIND", 504));
  await assert.rejects(far, { position: first.position });
  const illegal = client.publish({ type: "", source: "/t" });
  await assert.rejects(illegal, code("EDDY_EVENT_ATTRIBUTE", 400));
  await assert.rejects(client.watch("none").next(), code("EDDY_PROJECTION_UNKNOWN", 404));
  const elsewhere = createClient("http://127.0.0.1:1");
  await assert.rejects(elsewhere.publish(moved("a", "p")), TypeError);
});

test("C2: a watch goes on where it was when the node comes back, and ends with its signal", async () => {
  await using n = await node();
  const { client } = n;
  const publish = async (event: Parameters<typeof client.publish>[0]) => {
    const { position } = await client.publish(event);
    await client.read("places", "a", { after: position, wait: "10s" });
  };
  await publish(moved("a", "p1"));
  await publish(moved("b", "p1"));
  const stop = new AbortController();
  const watch = client.watch<{ to: string }>("places", { signal: stop.signal });
  const take = async () => {
    const { value, done } = await watch.next();
    return done === true ? "ended" : tell(value);
  };
  assert.deepEqual([await take(), await take()], ["a p1", "b p1"]);
  await n.restart();
  await publish({ type: Left.type, source: "/t", data: { who: "a" } });
  await publish(moved("b", "p2"));
  assert.deepEqual([await take(), await take()], ["a gone", "b p2"]);
  stop.abort();
  assert.equal(await take(), "ended");
});

import assert from "node:assert/strict";
import { mock, test } from "node:test";
import { createClient } from "./client.ts";

/** A node that answers each watch with the next of these bodies; what was asked. */
function nodeOf(...bodies: ((line: AbortSignal) => ReadableStream<Uint8Array>)[]) {
  const asked: (string | null)[] = [];
  const send: typeof fetch = async (_, init) => {
    asked.push(new Headers(init?.headers).get("last-event-id"));
    const body = bodies[asked.length - 1];
    if (body === undefined || init?.signal == null) return Promise.reject(new TypeError("gone"));
    return new Response(body(init.signal));
  };
  return { asked, client: createClient("http://node", { fetch: send }) };
}

const change = (n: number) =>
  `id: ${n}-b\nevent: change\ndata: {"key":"k","value":${n},"revision":${n}}\n\n`;

/** What it says, and then nothing; it ends by the signal alone. */
const saying = (text: string) => (line: AbortSignal) =>
  new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(new TextEncoder().encode(text));
      line.addEventListener("abort", () => controller.error(line.reason));
    },
  });

const turns = async () => {
  for (let n = 0; n < 20; n++) await new Promise((resolve) => setImmediate(resolve));
};

test("C2: a line that says nothing for 45 s, not even a beat, is given up, and the watch goes on where it was", async () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  try {
    const { asked, client } = nodeOf(saying(change(1)), saying(change(2)));
    const watch = client.watch("p");
    assert.equal((await watch.next()).value?.revision, 1);
    const second = watch.next();
    await turns();
    mock.timers.tick(44_000);
    await turns();
    assert.deepEqual(asked, [null]);
    mock.timers.tick(1_000);
    await turns();
    mock.timers.tick(250);
    assert.equal((await second).value?.revision, 2);
    assert.deepEqual(asked, [null, "1-b"]);
    await watch.return();
  } finally {
    mock.timers.reset();
  }
});

test("what ends a watch for good is thrown; what may pass is waited for", async () => {
  const problem = (code: string, status: number) =>
    `event: problem\ndata: ${JSON.stringify({ code, status, detail: "why" })}\n\n`;
  const { client, asked } = nodeOf(
    saying(change(1) + problem("EDDY_NOT_CONNECTED", 503)),
    saying(change(2) + problem("EDDY_ENTRY_UNREADABLE", 500)),
  );
  const watch = client.watch("p");
  assert.equal((await watch.next()).value?.revision, 1);
  assert.equal((await watch.next()).value?.revision, 2);
  await assert.rejects(watch.next(), { code: "EDDY_ENTRY_UNREADABLE", message: "why" });
  assert.deepEqual(asked, [null, "1-b"]);
});

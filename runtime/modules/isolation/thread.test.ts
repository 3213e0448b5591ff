import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "../../../tests/support/eventually.ts";
import { Permanent, RetryAfter } from "../../authoring/index.ts";
import { EddyError, encodeMessage } from "../../events/index.ts";
import type { Fact, RemoteCall, RemoteHandler } from "../../pipeline/index.ts";
import { blank, handlersIn, loadedIn, type Picture, rescan } from "../rescan.ts";
import { mapStack } from "../stack.ts";
import { type TestFolder, testFolder } from "../support/folder.ts";
import { createThreads } from "../threads.ts";

const MiB = 2 ** 20;

/** A handlers folder whose one module `m` runs in a thread. */
async function isolated(source: string, memoryBytes = 64 * MiB) {
  const folder = await testFolder({ "m/a.ts": prelude + source });
  const facts: Fact[] = [];
  const threads = createThreads({ m: { isolation: "thread", memoryBytes } }, (fact) =>
    facts.push(fact),
  );
  let picture: Picture = blank;
  const entries = new Map<string, unknown>();
  const stopping = { over: false, cuts: new Set<() => void>() };
  const readEntry = async (_: string, key: string) => entries.get(key);
  const around = { report: (fact: Fact) => void facts.push(fact), readEntry, stopping };

  async function load(): Promise<readonly RemoteHandler[]> {
    const result = await rescan(folder.path, picture, performance.now(), threads);
    picture = result.picture;
    const failed = result.reports.find((report) => report.kind === "failed");
    if (failed) throw Object.assign(new Error(failed.failure.message), failed.failure);
    return handlersIn(picture) as readonly RemoteHandler[];
  }

  async function find(name: string): Promise<RemoteHandler> {
    const found = (await load()).find((handler) => handler.name.endsWith(name));
    assert(found, `there is no ${name}`);
    return found;
  }

  let seq = 0;
  function callOf(data: unknown, deadlineMs = 5_000): RemoteCall {
    const id = `e${++seq}`;
    const event = {
      specversion: "1.0" as const,
      id,
      source: "/test",
      type: "com.acme.a",
      subject: "s",
      extensions: {},
      datacontenttype: "application/json",
      data,
    };
    const { headerLines, data: bytes } = encodeMessage(event);
    const original = {
      position: { stream: "EVENTS", seq },
      natsSubject: "events.com.acme.a.s",
      timeMs: 0,
      headers: Buffer.from(`NATS/1.0\r\n${headerLines}\r\n`),
      data: bytes,
    };
    return { original, event, attempt: 1, deadlineMs, source: "/test/m", around };
  }

  return {
    folder,
    facts,
    entries,
    find,
    load,
    callOf,
    keep: () => threads.keep(loadedIn(picture)),
    threads,
    codes: () => facts.flatMap((fact) => (fact.kind === "trouble" ? [fact.code] : [])),
    async [Symbol.asyncDispose]() {
      await threads.close();
      await folder[Symbol.asyncDispose]();
    },
  } satisfies AsyncDisposable & { folder: TestFolder; [name: string]: unknown };
}

const prelude = `import { event, on, projection, Permanent, RetryAfter, Type } from "eddyline";
const A = event("com.acme.a", Type.Object({ n: Type.Optional(Type.Integer()), do: Type.Optional(Type.String()) }));
const B = event("com.acme.b", Type.Object({ n: Type.Integer() }));
`;

test("x", async () => {
  await using m = await isolated(`
export const react = on(A, { emits: [B] }, async ({ data }, ctx) => {
  if (data.do === "block") for (;;);
  ctx.emit(B, { n: data.n ?? 0 });
});`);
  const react = await m.find("react");
  const t = performance.now();
  const r = await react.remote.run(m.callOf({ n: 1 }));
  console.log(performance.now() - t, r);
  const many = Array.from({ length: 100 }, (_, n) =>
    react.remote.run(m.callOf({ n, do: n === 50 ? "block" : "" }, 1000)),
  );
  const settled = await Promise.allSettled(many);
  console.log(
    settled.filter((s) => s.status === "rejected"),
    m.facts,
  );
  for (let i = 0; i < 5; i++) {
    const t2 = performance.now();
    await Promise.all(Array.from({ length: 10000 }, (_, n) => react.remote.run(m.callOf({ n }))));
    console.log("us each", (performance.now() - t2) / 10);
  }
});

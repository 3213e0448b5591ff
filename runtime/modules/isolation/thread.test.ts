import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "../../../tests/support/eventually.ts";
import { leavesOut, Permanent, RetryAfter } from "../../authoring/index.ts";
import { EddyError } from "../../events/index.ts";
import type { RemoteHandler } from "../../pipeline/index.ts";
import { mapStack } from "../stack.ts";
import { isolatedModule } from "../support/isolated.ts";

/** A reaction that does what the event says; whatever it does not know, it answers by emitting `n`. */
const doing = (cases: string) => `
export const react = on(A, { emits: [B] }, async ({ data }, ctx) => {
  const n = data.n ?? 0;
  switch (data.do) {
    ${cases}
  }
  ctx.emit(B, { n });
});`;

const numbers = (effects: Awaited<ReturnType<RemoteHandler["remote"]["run"]>>) =>
  effects.map(({ data }) => JSON.parse(Buffer.from(data).toString()).n);

/** Runs it on each of them at once; gives what was emitted, or the code or message of the error. */
async function runAll(
  react: RemoteHandler,
  calls: readonly Parameters<RemoteHandler["remote"]["run"]>[0][],
): Promise<unknown[]> {
  const settled = await Promise.allSettled(calls.map((call) => react.remote.run(call)));
  return settled.map((one) => {
    if (one.status === "fulfilled") return numbers(one.value)[0];
    return one.reason instanceof EddyError ? one.reason.code : one.reason.message;
  });
}

test("`where` of an isolated handler is asked on this side, and its data comes over whole", async () => {
  await using m = await isolatedModule(`
const where = { tenant: [null, { exists: false }], data: { n: [{ numeric: [">", 1] }] } };
export const view = projection("view", { from: [A], where, key: (e) => e.id, apply: () => ({}) });
export const react = on(A, { where }, () => {});
export const all = on(A, () => {});`);
  const asked = async (name: string, n: number) => {
    const { declaration } = await m.find(name);
    return leavesOut(declaration, m.call({ n }).job.event);
  };
  for (const name of ["view", "react"]) {
    assert.deepEqual([await asked(name, 1), await asked(name, 2)], [true, false], name);
  }
  assert.equal(await asked("all", 1), false);
  await m.write(
    "export const react = on(A, { where: { data: { n: [{ above: 1 }] } } }, () => {});",
  );
  await assert.rejects(m.load(), /where\.data\.n\[0\] must have one operator of prefix/);
});

test("an isolated handler sees whether the past is run again", async () => {
  await using m = await isolatedModule(
    doing(`case "look": ctx.emit(B, { n: ctx.replaying === true ? 1 : 0 }); return;`),
  );
  const react = await m.find("react");
  const call = m.call({ do: "look" });
  const again = { ...call, terms: { ...call.terms, replaying: true as const } };
  assert.deepEqual(await runAll(react, [call, again]), [0, 1]);
});

test("an isolated handler has its event, entries, log, signal and effects as any other", async () => {
  await using m = await isolatedModule(`
export const view = projection("view", { from: [A], key: (e) => e.id, apply: () => ({}), local: "all", indexes: { at: () => 1 } });
export const react = on(A, { emits: [B] }, async (event, ctx) => {
  ctx.log.info("seen", { frozen: Object.isFrozen(event), id: event.id, aborted: ctx.signal.aborted });
  const entry = await ctx.get(view, "k") as { n: number };
  ctx.emit(B, { n: entry.n + (event.data.n ?? 0) });
  ctx.emit(B, { n: ctx.attempt }, { subject: "other" });
  const missing = await ctx.get(view, "none");
  if (missing !== undefined) throw new Error("there is one");
  await ctx.get(view, "broken").catch((error) => ctx.log.warn(error.message));
  ctx.log.info("wait", await ctx.get(view, "wait", { after: event }));
  ctx.log.info("read", { ...(await ctx.read(view, "k")) });
  const { entries: [asked] } = await ctx.find(view, { at: "x" }, { limit: 3, prefix: "p" });
  ctx.log.info("find", asked);
});`);
  m.entries.set("k", { n: 40 });
  const react = await m.find("react");
  const effects = await react.remote.run(m.call({ n: 2 }));
  assert.deepEqual(numbers(effects), [42, 1]);
  assert.deepEqual(
    effects.map(({ natsSubject }) => natsSubject),
    ["events.com.acme.b.s", "events.com.acme.b.other"],
  );
  assert.match(effects[0]?.headerLines ?? "", /ce-source: \/test\/m\r\n/);
  const lines = m.facts.flatMap((fact) =>
    fact.kind === "log" ? [[fact.handler, fact.level, fact.message, fact.facts]] : [],
  );
  assert.deepEqual(lines, [
    ["m/a.react", "info", "seen", { frozen: true, id: "e1", aborted: false }],
    ["m/a.react", "warn", "the store is gone", {}],
    ["m/a.react", "info", "wait", { after: { stream: "EVENTS", seq: 1 }, waitMs: 10_000 }],
    ...[
      [
        "m/a.react",
        "info",
        "read",
        { value: { n: 40 }, position: { stream: "EVENTS", seq: 7 }, ageMs: 3 },
      ],
    ],
    [
      ...["m/a.react", "info", "find"],
      { key: "asked", value: { where: [["at", "x"]], limit: 3, prefix: "p" } },
    ],
  ]);
});

test("what a handler throws keeps its kind, its text and its place in the source", async () => {
  await using m = await isolatedModule(
    doing(`
    case "permanent": throw new Permanent("never", { cause: new TypeError("because") });
    case "later": throw new RetryAfter("1h", "not now");
    case "own": throw new RangeError("own");
    case "text": throw "just a text";
    case "undeclared": return ctx.emit(A as never, {});
    case "invalid": try { ctx.emit(B, { n: "1" } as never); } catch (error) { throw error; } break;
    case "cycle": { const a = { n: 1 } as never as { self: unknown, n: number }; a.self = a; ctx.emit(B, a); return; }
`),
  );
  const react = await m.find("react");
  const fate = (what: string) =>
    react.remote.run(m.call({ do: what })).then(
      () => assert.fail(`${what} did not throw`),
      (error: unknown) => error,
    );
  const permanent = await fate("permanent");
  assert(permanent instanceof Permanent && permanent.cause instanceof Error);
  assert.deepEqual([permanent.message, permanent.cause.message], ["never", "because"]);
  assert.match(mapStack(permanent.stack ?? ""), /m\/a\.ts:9:/);
  const later = await fate("later");
  assert(later instanceof RetryAfter);
  assert(Math.abs(later.at.getTime() - Date.now() - 3_600_000) < 60_000);
  const own = await fate("own");
  assert(own instanceof Error && own.name === "RangeError" && own.message === "own");
  assert.match(String(await fate("text")), /threw "just a text", which is not an Error/);
  for (const [what, code] of [
    ["undeclared", "EDDY_EMIT_UNDECLARED"],
    ["invalid", "EDDY_EMIT_INVALID"],
  ] as const) {
    const refused = await fate(what);
    assert(refused instanceof Permanent && refused.cause instanceof EddyError);
    assert.equal(refused.cause.code, code);
  }
  assert.match(String(await fate("cycle")), /circular/);
});

test("a handler that blocks its thread is stopped and named, and all others of it still have their effects", async () => {
  await using m = await isolatedModule(
    doing(`
    case "block": for (;;);
    case "slow": await new Promise((resolve) => setTimeout(resolve, 50));`),
  );
  const react = await m.find("react");
  const calls = Array.from({ length: 60 }, (_, n) =>
    m.call({ n, do: n === 20 || n === 40 ? "block" : n % 3 === 0 ? "slow" : "" }, 300),
  );
  const began = performance.now();
  const results = await runAll(react, calls);
  assert.ok(performance.now() - began < 20_000);
  results.forEach((result, n) => {
    assert.equal(result, n === 20 || n === 40 ? "EDDY_THREAD_BLOCKED" : n);
  });
  assert.deepEqual(m.codes(), ["EDDY_THREAD_BLOCKED", "EDDY_THREAD_BLOCKED"]);
  const [said] = m.facts.filter((fact) => fact.kind === "trouble");
  assert.match(JSON.stringify(said), /while m\/a.react had com.acme.a \(source \/test, id e21\)/);
  await eventually(() => m.facts.filter((fact) => fact.kind === "mended").length === 2);
});

test("one that blocks after an await is found by trying those that were begun one at a time", async () => {
  await using m = await isolatedModule(
    doing(`
    case "block": await new Promise((resolve) => setTimeout(resolve, 20)); for (;;);
    case "slow": await new Promise((resolve) => setTimeout(resolve, 100));`),
  );
  const react = await m.find("react");
  const calls = Array.from({ length: 12 }, (_, n) =>
    m.call({ n, do: n === 5 ? "block" : "slow" }, 300),
  );
  const results = await runAll(react, calls);
  results.forEach((result, n) => {
    assert.equal(result, n === 5 ? "EDDY_THREAD_BLOCKED" : n);
  });
});

test("one that leaks beyond its memory, or exits, is stopped; the process and the other calls go on", async () => {
  await using m = await isolatedModule(
    doing(`
    case "leak": { const all: unknown[] = []; for (;;) all.push(new Array(1000).fill(n)); }
    case "exit": process.exit(3);
    case "exitLater": await new Promise((resolve) => setTimeout(resolve, 20)); process.exit(4);`),
    32,
  );
  const react = await m.find("react");
  const what: Record<number, string> = { 3: "leak", 5: "exit", 7: "exitLater" };
  const code: Record<number, string> = {
    3: "EDDY_THREAD_MEMORY",
    5: "EDDY_THREAD_EXITED",
    7: "EDDY_THREAD_EXITED",
  };
  const calls = Array.from({ length: 12 }, (_, n) => m.call({ n, do: what[n] ?? "" }));
  const results = await runAll(react, calls);
  results.forEach((result, n) => {
    assert.equal(result, code[n] ?? n);
  });
});

test("what a handler leaves behind that fails later is reported, and ends nothing", async () => {
  await using m = await isolatedModule(
    doing(`
    case "reject": void Promise.reject(new Error("left behind")); break;
    case "timer": setTimeout(() => { throw new Error("too late"); }, 1); break;`),
  );
  const react = await m.find("react");
  assert.deepEqual(
    await runAll(react, [m.call({ n: 1, do: "reject" }), m.call({ n: 2, do: "timer" })]),
    [1, 2],
  );
  await eventually(() => m.codes().length === 2);
  assert.deepEqual(m.codes(), ["EDDY_HANDLER_STRAY", "EDDY_HANDLER_STRAY"]);
  assert.deepEqual(await runAll(react, [m.call({ n: 3 })]), [3]);
});

test("the deadline of a handler that gives way aborts its signal, and only its own call fails", async () => {
  await using m = await isolatedModule(
    doing(`
    case "wait": await new Promise((_, reject) => {
      ctx.signal.addEventListener("abort", () => { ctx.log.warn("aborted", { why: ctx.signal.reason.code }); });
    });`),
  );
  const react = await m.find("react");
  const results = await runAll(react, [m.call({ n: 1, do: "wait" }, 200), m.call({ n: 2 })]);
  assert.deepEqual(results, ["EDDY_DEADLINE", 2]);
  const [line] = m.facts.filter((fact) => fact.kind === "log");
  assert.deepEqual(line?.kind === "log" && [line.message, line.facts], [
    "aborted",
    { why: "EDDY_DEADLINE" },
  ]);
  assert.deepEqual(m.codes(), []);
});

test("a handler that computes for long, but within its deadline, is left alone", async () => {
  await using m = await isolatedModule(
    doing(`case "compute": { const end = Date.now() + 2_000; while (Date.now() < end); break; }`),
  );
  const react = await m.find("react");
  const results = await runAll(react, [m.call({ n: 1, do: "compute" }, 20_000), m.call({ n: 2 })]);
  assert.deepEqual(results, [1, 2]);
  assert.deepEqual(m.codes(), []);
});

test("many megabytes of effects come through whole", async () => {
  await using m = await isolatedModule(`
export const react = on(A, { emits: [B] }, (_, ctx) => {
  for (let n = 0; n < 20; n++) ctx.emit(B, { n, pad: "x".repeat(500_000) });
});`);
  const react = await m.find("react");
  const effects = await react.remote.run(m.call({}));
  assert.deepEqual(
    numbers(effects),
    Array.from({ length: 20 }, (_, n) => n),
  );
  assert.ok(effects.every(({ data }) => data.byteLength > 500_000));
});

test("a projection's key and state are computed in the thread, keys in order", async () => {
  await using m = await isolatedModule(`
export const view = projection("view", {
  from: [A],
  indexes: { sum: (s) => s.sum, odd: (s) => { if (s.sum === 13) throw new Error("unlucky"); return s.sum % 2 ? "yes" : []; } },
  state: Type.Object({ sum: Type.Number(), thread: Type.Boolean() }),
  key: (e) => { if (e.data.do === "badKey") return 7 as never; return "k" + e.data.n; },
  apply: (state, e) => {
    if (e.data.do === "remove") return null;
    if (e.data.do === "nothing") return undefined as never;
    if (e.data.do === "bigint") return { sum: 1, thread: true, extra: 1n } as never;
    if (e.data.do === "broken") return { sum: "1" } as never;
    return { sum: (state?.sum ?? 0) + (e.data.n ?? 0), thread: !require("node:worker_threads").isMainThread };
  },
});`);
  const { remote, declaration } = await m.find("view");
  assert.deepEqual("indexes" in declaration && declaration.indexes, ["sum", "odd"]);
  const keys = await Promise.all(Array.from({ length: 50 }, (_, n) => remote.key(m.call({ n }))));
  assert.deepEqual(
    keys,
    Array.from({ length: 50 }, (_, n) => `k${n}`),
  );
  await assert.rejects(remote.key(m.call({ do: "badKey" })), Permanent);
  const state = { sum: 1, thread: false };
  assert.deepEqual(await remote.apply(m.call({ n: 2 }), state), {
    state: { sum: 3, thread: true },
    marks: "sum:3 odd:yes",
  });
  assert.deepEqual(await remote.apply(m.call({ n: 2 }), undefined), {
    state: { sum: 2, thread: true },
    marks: "sum:2 odd:",
  });
  const removed = { state: null, marks: "" };
  assert.deepEqual(await remote.apply(m.call({ do: "remove" }), state), removed);
  await assert.rejects(remote.apply(m.call({ n: 12 }), state), /unlucky/);
  for (const what of ["nothing", "bigint", "broken"]) {
    await assert.rejects(remote.apply(m.call({ do: what }), state), Permanent);
  }
});

test("data is checked by rules that are functions, too, where those functions are", async () => {
  await using m = await isolatedModule(`
const Even = event("com.acme.a", Type.Object({ n: Type.Refine(Type.Integer(), (n) => n % 2 === 0, () => "must be even") }));
export const react = on(Even, { emits: [B] }, ({ data }, ctx) => ctx.emit(B, { n: data.n }));`);
  const react = await m.find("react");
  assert.deepEqual(await runAll(react, [m.call({ n: 2 })]), [2]);
  await assert.rejects(react.remote.run(m.call({ n: 3 })), (error) => {
    assert(error instanceof Permanent && error.cause instanceof EddyError);
    return error.cause.code === "EDDY_DATA_INVALID";
  });
});

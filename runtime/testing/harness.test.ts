import assert from "node:assert/strict";
import { test } from "node:test";
import { type EventType, event, on, Permanent, projection, RetryAfter, Type } from "eddyline";
import { harness } from "eddyline/testing";

const Named = Type.Object({ name: Type.String({ minLength: 1 }) });
const Arrived = event("com.acme.visitor.arrived", Named);
const Left = event("com.acme.visitor.left", Named);
const Greeted = event("com.acme.visitor.greeted", Named);
const Counted = event("com.acme.visitor.counted", Type.Object({ count: Type.Integer() }));

const visitors = projection("visitors", {
  from: [Arrived, Left],
  key: (e) => e.data.name,
  state: Type.Object({ name: Type.String(), visits: Type.Integer() }),
  apply: (known, e) =>
    e.type === Left.type ? null : { name: e.data.name, visits: (known?.visits ?? 0) + 1 },
});
const greet = on(Arrived, { emits: [Greeted] }, (e, ctx) => ctx.emit(Greeted, e.data));
const count = on(Greeted, { emits: [Counted] }, async (e, ctx) => {
  const visitor = await ctx.get(visitors, e.data.name);
  ctx.emit(Counted, { count: visitor?.visits ?? 0 });
});

const kinds = (t: ReturnType<typeof harness>) =>
  t.outcomes.map(({ handler, kind }) => `${handler} ${kind}`);

test("a chain of events is followed to its end, over reactions and projections", async () => {
  const t = harness({ visitors, greet, count });
  await t.publish(Arrived, { name: "Ada" }, { subject: "visitors/1", key: "front door" });
  assert.deepEqual(t.entry(visitors, "Ada"), { name: "Ada", visits: 1 });
  const [counted] = t.emitted(Counted);
  assert.equal(counted?.data.count, 1);
  assert.equal(counted.subject, "visitors/1");
  assert.equal(counted.extensions.partitionkey, "front door");
  assert.equal(counted.extensions.correlationid, "event-1");
  assert.deepEqual(kinds(t), ["visitors handled", "greet handled", "count handled"]);
  await t.publish(Left, { name: "Ada" });
  assert.equal(t.entries(visitors).size, 0);
});

test("handlers of an event that is published as replaying see it, those of what they emit do not", async () => {
  const seen: [string, boolean][] = [];
  const first = on(Arrived, { emits: [Greeted] }, (e, ctx) => {
    seen.push(["first", ctx.replaying]);
    ctx.emit(Greeted, e.data);
  });
  const second = on(Greeted, (_, ctx) => void seen.push(["second", ctx.replaying]));
  const t = harness({ first, second });
  await t.publish(Arrived, { name: "Ada" });
  await t.publish(Arrived, { name: "Bo" }, { replaying: true });
  assert.deepEqual(seen, [
    ["first", false],
    ["second", false],
    ["first", true],
    ["second", false],
  ]);
});

test("a read tells value, position and age; what local means is checked at declaration", async () => {
  const seen: unknown[] = [];
  const look = on(Arrived, async (e, ctx) => {
    const { value, ...rest } = await ctx.read(visitors, e.data.name);
    seen.push([value?.visits, rest]);
  });
  const t = harness({ visitors, look });
  await t.publish(Arrived, { name: "Ada" });
  await t.publish(Arrived, { name: "Bob" });
  const at = (seq: number) => ({ position: { stream: "EVENTS", seq }, ageMs: 0 });
  assert.deepEqual(seen, [
    [1, at(1)],
    [1, at(2)],
  ]);
  const spec = { from: [Arrived], key: () => "", apply: () => null };
  for (const local of [0, 1.5, 1_000_001, "some", true, null]) {
    const declare = () => projection("p", { ...spec, local: local as never });
    assert.throws(declare, { code: "EDDY_DECLARATION" });
  }
  assert.equal(projection("p", { ...spec, local: 10_000 }).local, 10_000);
});

test("an emitted state event has its entity's key, unless the handler names another one", async () => {
  const Changed = event("com.acme.visitor.changed", Named, {
    carries: "state",
    key: "name",
    deletion: "never",
  });
  const tell = on(Arrived, { emits: [Changed] }, (e, ctx) => {
    ctx.emit(Changed, e.data);
    ctx.emit(Changed, e.data, { key: "own" });
  });
  const t = harness({ tell });
  await t.publish(Arrived, { name: "Ada" }, { key: "front door" });
  assert.deepEqual(
    t.emitted(Changed).map(({ extensions }) => extensions.partitionkey),
    ["Ada", "own"],
  );
});

test("the same source and id is a duplicate for every handler; the same id of another source is not", async () => {
  const t = harness({ visitors, greet });
  for (const source of ["/a", "/a", "/b"]) {
    await t.publish(Arrived, { name: "Ada" }, { id: "1", source });
  }
  assert.equal(t.entry(visitors, "Ada")?.visits, 2);
  assert.equal(t.emitted(Greeted).length, 2);
  assert.deepEqual(kinds(t).slice(2, 4), ["visitors duplicate", "greet duplicate"]);
});

test("an attempt that throws leaves no effect; retries run in the order in which they are due", async () => {
  const order: string[] = [];
  const emits = [Greeted];
  const late = on(Arrived, { emits, retry: ["1m", "1m"] }, (e, ctx) => {
    order.push(`late ${ctx.attempt}`);
    ctx.emit(Greeted, e.data);
    if (ctx.attempt < 3) throw new Error("not yet");
  });
  const asked = on(Arrived, { emits }, (_, ctx) => {
    order.push(`asked ${ctx.attempt}`);
    if (ctx.attempt === 1) throw new RetryAfter("90s");
  });
  const t = harness({ late, asked });
  await t.publish(Arrived, { name: "Ada" });
  assert.deepEqual(order, ["late 1", "asked 1"]);
  assert.equal(t.emitted(Greeted).length, 0);
  await t.settle();
  assert.deepEqual(order, ["late 1", "asked 1", "late 2", "asked 2", "late 3"]);
  assert.equal(t.emitted(Greeted).length, 1);
});

test("a retry waits for settle, so that what it lacks can come first", async () => {
  const known = on(Arrived, async (e, ctx) => {
    if (!(await ctx.get(visitors, "Bob"))) throw new Error("Bob is not here yet");
    ctx.log.info("both are here", { name: e.data.name });
  });
  const t = harness({ visitors, known });
  await t.publish(Arrived, { name: "Ada" });
  await t.publish(Arrived, { name: "Bob" });
  await t.settle();
  assert.deepEqual(kinds(t).at(-1), "known handled");
  assert.deepEqual(
    t.logs.map(({ level, handler, facts }) => [level, handler, facts.name]),
    [
      ["info", "known", "Bob"],
      ["info", "known", "Ada"],
    ],
  );
});

test("expired: by maxAge, also while a retry waits, and by the event's own expirytime", async () => {
  const tried: number[] = [];
  const young = on(Arrived, { maxAge: "10s", retry: ["1s", "1m"] }, (_, ctx) => {
    tried.push(ctx.attempt);
    throw new Error("not yet");
  });
  const t = harness({ young, greet, visitors });
  await t.publish(Arrived, { name: "Ada" }, { time: new Date(0) });
  await t.publish(Arrived, { name: "Bob" }, { expiryTime: new Date(0) });
  await t.publish(Arrived, { name: "Cleo" });
  await t.settle();
  const expired = t.outcomes.filter((o) => o.kind === "expired");
  assert.deepEqual(
    expired.map((o) => [o.handler, o.policy, o.event.data, o.attempt]),
    [
      ["young", "maxAge", { name: "Ada" }, 1],
      ["visitors", "expirytime", { name: "Bob" }, 1],
      ["young", "expirytime", { name: "Bob" }, 1],
      ["greet", "expirytime", { name: "Bob" }, 1],
      ["young", "maxAge", { name: "Cleo" }, 3],
    ],
  );
  assert.deepEqual(tried, [1, 2]);
  assert.equal(t.entry(visitors, "Bob"), undefined);
});

test("dead: Permanent, the last attempt, data that breaks its schema, in and out, and undeclared emits", async () => {
  const forge = event("com.acme.visitor.arrived", Type.Object({ name: Type.Integer() }));
  const wide = event("com.acme.visitor.greeted", Type.Any());
  const bad = {
    gone: on(Left, () => {
      throw new Permanent("never");
    }),
    tired: on(Left, { retry: ["1s"] }, () => {
      throw new Error("always");
    }),
    rude: on(Left, { emits: [Greeted, wide] }, (_, ctx) => ctx.emit(wide, { name: "" })),
    sly: on(Left, { emits: [Counted] as EventType[] }, (e, ctx) => ctx.emit(Greeted, e.data)),
  };
  const t = harness({ visitors, ...bad });
  await t.publish(forge, { name: 7 });
  await t.publish(Left, { name: "Ada" });
  await t.settle();
  const dead = t.outcomes.flatMap((o) =>
    o.kind === "dead" ? [[o.handler, o.reason, o.attempt]] : [],
  );
  assert.deepEqual(dead, [
    ["visitors", "schema", 1],
    ["gone", "permanent", 1],
    ["rude", "permanent", 1],
    ["sly", "permanent", 1],
    ["tired", "attempts", 2],
  ]);
  assert.equal(t.emitted(Greeted).length, 0);
});

test("each handler has its own copy of the event, as it would be on the wire", async () => {
  const Dated = event(
    "com.acme.dated",
    Type.Object({ at: Type.Any(), tags: Type.Array(Type.String()) }),
  );
  const seen: unknown[] = [];
  const vandal = on(Dated, (e) => void e.data.tags.push("mine"));
  const reader = on(Dated, (e) => void seen.push(e.data));
  await harness({ vandal, reader }).publish(Dated, { at: new Date(0), tags: [] });
  assert.deepEqual(seen, [{ at: "1970-01-01T00:00:00.000Z", tags: [] }]);
});

test("the deadline is real time: the signal is aborted and the event is retried", async () => {
  let aborted = false;
  const slow = on(Arrived, { deadline: "5ms", retry: [] }, async (_, ctx) => {
    await new Promise((resolve) => ctx.signal.addEventListener("abort", resolve));
    aborted = true;
  });
  const t = harness({ slow });
  await t.publish(Arrived, { name: "Ada" });
  const [outcome] = t.outcomes;
  assert.ok(aborted && outcome?.kind === "dead");
  assert.match(String(outcome.cause), /within 5 ms/);
});

test("a chain without an end, no handlers, and two of one name are errors that say so", async () => {
  const echo = on(Arrived, { emits: [Arrived] }, (e, ctx) => ctx.emit(Arrived, e.data));
  await assert.rejects(harness({ echo }).publish(Arrived, { name: "Ada" }), {
    code: "EDDY_TEST_ENDLESS",
  });
  assert.throws(() => harness({ Arrived }), /no reaction and no projection/);
  assert.throws(() => harness({ greet }, { greet: count }), /two handlers are called greet/);
});

const named = (...names: string[]) => names.map((name) => ({ name }));

test("a failing event of an ordered handler holds back its key, and no other, until it succeeds", async () => {
  const options = { emits: [Greeted], ordered: true } as const;
  const once = on(Arrived, options, (e, ctx) => {
    if (e.data.name === "Ada" && ctx.attempt === 1) throw new Error("not yet");
    ctx.emit(Greeted, e.data);
  });
  const t = harness({ once });
  for (const name of ["Ada", "Bob", "Cleo"]) {
    await t.publish(Arrived, { name }, { key: name === "Cleo" ? "back" : "front" });
  }
  assert.deepEqual(
    t.emitted(Greeted).map((e) => e.data),
    named("Cleo"),
  );
  assert.deepEqual(kinds(t), ["once retry", "once handled"]);
  await t.settle();
  assert.deepEqual(
    t.emitted(Greeted).map((e) => e.data),
    named("Cleo", "Ada", "Bob"),
  );
});

test("a dead letter lets the key of an ordered handler go on, or holds it where that is asked for", async () => {
  for (const [onDead, after] of [
    ["continue", ["Bob"]],
    ["hold", []],
  ] as const) {
    const never = on(Arrived, { emits: [Greeted], ordered: true, onDead }, (e, ctx) => {
      if (e.data.name === "Ada") throw new Permanent("never");
      ctx.emit(Greeted, e.data);
    });
    const t = harness({ never });
    for (const name of ["Ada", "Bob"]) await t.publish(Arrived, { name }, { key: "front" });
    await t.settle();
    assert.deepEqual(
      t.emitted(Greeted).map((e) => e.data),
      named(...after),
    );
  }
});

test("what `where` leaves out is filtered: not run, not folded, not checked, and it waits for no key; a repeat is a duplicate", async () => {
  const forge = event("com.acme.visitor.arrived", Type.Object({ name: Type.Integer() }));
  const where = {
    tenant: [{ exists: false as const }],
    data: { name: [{ "anything-but": "Bob" }] },
  };
  const once = on(Arrived, { emits: [Greeted], ordered: true, where }, (e, ctx) => {
    if (ctx.attempt === 1) throw new Error("not yet");
    ctx.emit(Greeted, e.data);
  });
  const guests = projection("guests", {
    from: [Arrived, Left],
    where: { data: { name: [{ prefix: "A" }] } },
    key: (e) => e.data.name,
    apply: (_, e) => e.data,
  });
  const t = harness({ once, guests });
  const front = { key: "front" };
  for (const name of ["Ada", "Bob"]) await t.publish(Arrived, { name }, { ...front, id: name });
  await t.publish(Arrived, { name: "Bob" }, { ...front, id: "Bob" });
  await t.publish(forge, { name: 7 });
  assert.deepEqual(kinds(t), [
    ...["guests handled", "once retry"],
    ...["guests filtered", "once filtered"],
    ...["guests duplicate", "once duplicate"],
    ...["guests filtered", "once dead"], // 7 is anything but Bob, and breaks the schema
  ]);
  await t.settle();
  assert.deepEqual(kinds(t).slice(8), ["once handled"]);
  assert.deepEqual([...t.entries(guests).keys()], ["Ada"]);
});

test("onDead without ordered, and what is neither, cannot be declared", () => {
  for (const options of [{ onDead: "hold" }, { ordered: false, onDead: "hold" }]) {
    assert.throws(() => on(Arrived, options as never, () => {}), /ordered: true/);
  }
  assert.throws(() => on(Arrived, { ordered: "yes" } as never, () => {}), /true or false/);
  const wrong = { ordered: true, onDead: "stop" } as never;
  assert.throws(() => on(Arrived, wrong, () => {}), /"continue" or "hold"/);
});

test("ctx.find gives entries by index, prefix and page; an index that is none is tried again, a value that is none is dead", async () => {
  const homes = projection("homes", {
    from: [Arrived],
    key: (e) => e.data.name,
    apply: (_, e) => e.data,
    indexes: { initial: (state) => state.name?.[0], letters: (state) => [...(state.name ?? "")] },
  });
  const seen: unknown[] = [];
  const look = on(Left, { retry: [] }, async (e, ctx) => {
    const asked = e.data.name === "Zoe" ? { town: "x" } : { initial: e.data.name, letters: "b" };
    const where = (e.data.name === "none" ? { initial: undefined } : asked) as { initial: string };
    seen.push(await ctx.find(homes, where, { limit: 1 }));
    seen.push((await ctx.find(homes, {}, { prefix: "A", after: "Abe" })).entries.length);
  });
  const t = harness({ homes, look });
  for (const name of ["Bob", "Abby", "Ada", "Abe"]) await t.publish(Arrived, { name });
  for (const name of ["A", "C", "Zoe", "none"]) await t.publish(Left, { name });
  assert.deepEqual(seen, [
    { entries: [{ key: "Abby", value: { name: "Abby" } }], next: "Abby" },
    1,
    { entries: [] },
    1,
  ]);
  const dead = t.outcomes.flatMap((o) => (o.kind === "dead" ? [[o.reason, String(o.cause)]] : []));
  assert.deepEqual(
    dead.map(([reason]) => reason),
    ["attempts", "permanent"],
  );
  assert.match(dead.join(), /no index "town".*the value of initial is of type undefined/);
});

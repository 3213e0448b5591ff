// Data outside of its event, on a real server with a small limit on messages.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { Objm } from "@nats-io/obj";
import { Type } from "typebox";
import { eventually } from "../../../tests/support/eventually.ts";
import { startNats } from "../../../tests/support/nats.ts";
import {
  makeTestEvent,
  produce,
  startTestPipeline,
  type TestPipeline,
} from "../../../tests/support/pipeline.ts";
import { event, type Handler, on, projection } from "../../authoring/index.ts";
import { createIngress, storeBatch } from "../../broker/index.ts";
import {
  type CloudEvent,
  encodeMessage,
  eventSubject,
  keyOf,
  takeOut,
} from "../../events/index.ts";
import { listLetters, replayLetter } from "../index.ts";
import { readLog } from "../log/read-log.ts";

const Asked = event("com.acme.scan.asked", Type.Object({ n: Type.Integer() }));
const Read = event("com.acme.scan.read", Type.Object({ n: Type.Integer(), text: Type.String() }));
const Noted = event(
  "com.acme.scan.noted",
  Type.Object({ n: Type.Integer(), length: Type.Integer() }),
);

const maxPayload = 100_000;
const textOf = (n: number, length = 3_000_000) => `${n}é`.padEnd(length, "x");
const asked = (n: number) => makeTestEvent(Asked.type, `a${n}`, { n });
const read = (n: number, key: string, length?: number, type = "application/json") =>
  makeTestEvent(
    Read.type,
    `r${n}`,
    { n, text: textOf(n, length) },
    { subject: key, datacontenttype: type },
  );

function store({ broker }: TestPipeline, events: readonly CloudEvent[]) {
  return createIngress(broker.nc, { stream: "EVENTS", objects: broker.objects })(events);
}

async function bucket({ broker }: TestPipeline) {
  return await new Objm(broker.js).open("EVENTS_data");
}

/** Takes the only object away; gives what puts it back. */
async function takeAway(p: TestPipeline) {
  const store = await bucket(p);
  const [info, ...more] = await store.list();
  assert.ok(info && more.length === 0);
  const bytes = await store.getBlob(info.name);
  await store.delete(info.name);
  return async () => void (await store.putBlob({ name: info.name }, bytes));
}

const codes = async (p: TestPipeline) =>
  (await listLetters(p.broker)).map(({ error, reason, attempts }) => [
    error.code,
    reason,
    attempts.length,
  ]);

test("P1: 3 MB that a handler emits arrive at a second handler and in a projection; JSON and MessagePack", async () => {
  await using nats = await startNats({ maxPayload });
  await using p = await startTestPipeline(nats);
  const got: [number, string | undefined, boolean, unknown][] = [];
  await p.run({
    read: on(Asked, { emits: [Read] }, ({ data }, ctx) => {
      const datacontenttype = data.n % 2 === 0 ? "application/json" : "application/msgpack";
      ctx.emit(Read, { n: data.n, text: textOf(data.n) }, { datacontenttype });
      ctx.emit(Read, { n: -data.n, text: "small" });
    }),
    second: on(Read, { emits: [Noted] }, (event, ctx) => {
      const { n, text } = event.data;
      if (n > 0) got.push([n, event.datacontenttype, text === textOf(n), event.extensions.dataref]);
      ctx.emit(Noted, { n, length: text.length });
    }),
    scans: projection("scans", {
      from: [Read],
      key: ({ data }) => `scan-${data.n}`,
      state: Type.Object({ length: Type.Integer() }),
      apply: (_, { data }) => ({ length: data.text.length }),
    }),
  });
  await produce(p.broker, [1, 2, 3, 4].map(asked));
  const rows = await p.settled();
  assert.deepEqual([rows.get("second")?.handled, rows.get("scans")?.handled], [8, 8]);
  got.sort(([a], [b]) => a - b);
  assert.deepEqual(got, [
    [1, "application/msgpack", true, undefined],
    [2, "application/json", true, undefined],
    [3, "application/msgpack", true, undefined],
    [4, "application/json", true, undefined],
  ]);
  const entry = await p.broker.jsm.streams.getMessage("KV_scans", {
    last_by_subj: "$KV.scans.scan-3",
  });
  assert.deepEqual(entry?.json(), { length: 3_000_000 });
  assert.equal((await (await bucket(p)).list()).length, 4);
});

test("what is too large even for an object is an effect too large, and a request too large", async () => {
  await using nats = await startNats({ maxPayload });
  await using p = await startTestPipeline(nats, {
    objects: { bytesMax: 200_000, storeBytesMax: 10_000_000 },
  });
  await p.run({
    read: on(Asked, { emits: [Read] }, ({ data }, ctx) => {
      ctx.emit(Read, { n: data.n, text: textOf(data.n, data.n * 100_000) });
    }),
  });
  await produce(p.broker, [asked(1), asked(2)]);
  const rows = await p.settled();
  assert.deepEqual([rows.get("read")?.handled, rows.get("read")?.dead], [1, 1]);
  const [letter] = await listLetters(p.broker);
  assert.match(letter?.error.message ?? "", /objects\.maxBytes/);
  await assert.rejects(store(p, [read(1, "k")]), { code: "EDDY_EVENT_TOO_LARGE" });
});

test("a full bucket refuses a request with its code, and lets an effect wait until there is room", async () => {
  await using nats = await startNats({ maxPayload });
  await using p = await startTestPipeline(nats, {
    objects: { bytesMax: 10_000_000, storeBytesMax: 4_000_000 },
  });
  await p.run({
    read: on(Asked, { emits: [Read] }, ({ data }, ctx) => {
      ctx.emit(Read, { n: data.n, text: textOf(data.n) });
    }),
  });
  await store(p, [read(1, "k")]);
  await assert.rejects(store(p, [read(2, "k")]), { code: "EDDY_OBJECTS_FULL" });
  await produce(p.broker, [asked(3)]);
  await eventually(() =>
    p.facts.some((f) => f.kind === "trouble" && f.code === "EDDY_OBJECT_NOT_STORED"),
  );
  await takeAway(p);
  const rows = await p.settled();
  assert.deepEqual([rows.get("read")?.handled, rows.get("read")?.dead], [1, 0]);
});

test("P1 P3: data that is gone is tried again, then a letter says so; put back, the letter's replay works", async () => {
  await using nats = await startNats({ maxPayload });
  await using p = await startTestPipeline(nats, { delaysMs: [300, 300] });
  const [stored] = await store(p, [read(1, "a")]);
  assert.equal(stored?.duplicate, false);
  const putBack = await takeAway(p);
  await store(p, [read(2, "a", 5), read(3, "b", 5)]);
  const order: number[] = [];
  const folded: number[] = [];
  await p.run({
    note: on(Read, { emits: [Noted], start: "first", ordered: true }, ({ data }, ctx) => {
      order.push(data.n);
      ctx.emit(Noted, { n: data.n, length: data.text.length });
    }),
    scans: projection("scans", {
      from: [Read],
      key: ({ data }) => `scan-${data.n}`,
      state: Type.Object({ length: Type.Integer() }),
      apply(_, { data }) {
        folded.push(data.n);
        return { length: data.text.length };
      },
    }),
  });
  await eventually(() => order.length > 0);
  assert.deepEqual(order, [3], "its key waits, the other one does not");
  await p.settled();
  assert.deepEqual(order, [3, 2]);
  assert.deepEqual(await codes(p), [
    ["EDDY_OBJECT_MISSING", "attempts", 3],
    ["EDDY_OBJECT_MISSING", "attempts", 3],
  ]);
  await putBack();
  for (const { letter } of await listLetters(p.broker)) await replayLetter(p.broker, letter);
  const rows = await eventually(async () => {
    const now = await p.settled();
    assert.deepEqual([now.get("note")?.dead, now.get("scans")?.dead], [0, 0]);
    return now;
  });
  assert.deepEqual([rows.get("note")?.handled, rows.get("scans")?.handled], [3, 3]);
  assert.deepEqual(
    [order, folded.toSorted()],
    [
      [3, 2, 1],
      [1, 2, 3],
    ],
  );
});

test("P3: events of a key keep their order with data outside and inside, and in a projection whose key is made of it", async () => {
  await using nats = await startNats({ maxPayload });
  await using p = await startTestPipeline(nats);
  const order = new Map<string, number[]>();
  const note = (lane: string, n: number) => {
    order.set(lane, [...(order.get(lane) ?? []), n]);
  };
  const lane = (n: number) => `k${n % 3}`;
  await store(
    p,
    Array.from({ length: 60 }, (_, n) => read(n, lane(n), n % 4 === 0 ? 400_000 : 10)),
  );
  await p.run({
    plain: on(Read, { start: "first" }, ({ data }) => note(`plain ${lane(data.n)}`, data.n)),
    strict: on(Read, { start: "first", ordered: true }, ({ data }) =>
      note(`strict ${lane(data.n)}`, data.n),
    ),
    scans: projection("scans", {
      from: [Read],
      key: ({ data }) => lane(data.n),
      apply(_, { data }) {
        note(`scans ${lane(data.n)}`, data.n);
        return { n: data.n };
      },
    }),
  });
  await p.settled();
  assert.equal(order.size, 9);
  for (const [of, numbers] of order) {
    assert.deepEqual(
      numbers,
      Array.from({ length: 20 }, (_, i) => i * 3 + Number(of.at(-1))),
      of,
    );
  }
});

test("what a `where` and a contract ask of data is asked of data outside as well, live and in the log", async () => {
  await using nats = await startNats({ maxPayload });
  await using p = await startTestPipeline(nats, { delaysMs: [] });
  const wrong = makeTestEvent(Read.type, "wrong", { n: 2.5, text: textOf(9) });
  await store(p, [read(1, "a"), read(20, "b"), wrong, read(3, "c", 5)]);
  const seen: number[] = [];
  const pick = on(
    Read,
    { start: "first", where: { data: { n: [{ numeric: ["<", 10] }] } } },
    ({ data }) => {
      seen.push(data.n);
    },
  );
  await p.run({ pick });
  const row = (await p.settled()).get("pick");
  assert.deepEqual([row?.handled, row?.filtered, row?.dead], [2, 1, 1]);
  assert.deepEqual(
    [seen.toSorted(), await codes(p)],
    [[1, 3], [["EDDY_DATA_INVALID", "schema", 0]]],
  );
  const handler: Handler = { name: "pick", file: "", version: "v1", declaration: pick };
  await store(p, [read(4, "d", 7_000_000), read(5, "e", 7_000_000)]);
  const { last_seq: to } = (await p.broker.jsm.streams.info("EVENTS")).state;
  const slices: string[][] = [];
  const versions = [handler, handler];
  const reading = { broker: p.broker, versions, repeatsIn: () => () => 0, sliceMax: 800 };
  for await (const { seen } of readLog(reading, [{ stream: "EVENTS", from: 1, to }])) {
    const [one, other] = seen.map((side) => side.map(({ job }) => job?.event.data));
    assert.deepEqual(one, other);
    assert.ok(
      one?.every((data, at) => data === undefined || data !== other?.[at]),
      "L3",
    );
    const kinds = seen[0]?.map(({ sighting, job }) => {
      const length =
        sighting.kind === "event" ? Reflect.get(Object(job?.event.data), "text").length : 0;
      return `${sighting.kind} ${length}`;
    });
    slices.push(kinds ?? []);
  }
  const first = ["event 3000000", "filtered 0", "dead 0", "event 5", "event 7000000"];
  assert.deepEqual(slices, [first, ["event 7000000"]], "L2: more would be over 16 MiB");
});

test("a foreign dataref is an attribute of the event, and is never fetched", async () => {
  let requests = 0;
  const server = createServer((_, response) => {
    requests++;
    response.end("{}");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const dataref = `http://127.0.0.1:${(server.address() as AddressInfo).port}/secret`;
  await using nats = await startNats({ maxPayload });
  await using p = await startTestPipeline(nats);
  const Linked = event("com.acme.scan.linked", Type.Optional(Type.Any()));
  const seen: unknown[] = [];
  await p.run({
    see: on(Linked, {}, ({ extensions, data }) => void seen.push([extensions.dataref, data])),
  });
  const linked = (data: unknown) =>
    makeTestEvent(Linked.type, data === undefined ? "none" : "some", data, {
      extensions: { dataref },
    });
  await store(p, [linked(undefined), linked({ n: 1 })]);
  await p.settled();
  assert.deepEqual(
    new Set(seen.map((one) => JSON.stringify(one))),
    new Set([JSON.stringify([dataref, undefined]), JSON.stringify([dataref, { n: 1 }])]),
  );
  assert.equal(requests, 0);
  server.close();
});

test("a lie about owner, digest or size never reaches a handler: each is a letter with its code", async () => {
  await using nats = await startNats({ maxPayload });
  await using p = await startTestPipeline(nats, { delaysMs: [50] });
  await store(p, [read(1, "a")]);
  const claim = takeOut(encodeMessage(read(1, "a")), read(1, "a"), "EVENTS_data");
  assert.ok(claim);
  const forged = async (event: CloudEvent, dataref: string) => {
    const { headerLines, data } = encodeMessage({
      ...event,
      data: undefined,
      extensions: { dataref },
    });
    const natsSubject = eventSubject(event.type, keyOf(event));
    assert.equal(
      (await storeBatch(p.broker.nc, [{ natsSubject, headerLines, data }], 5_000)).kind,
      "stored",
    );
  };
  const urn = (name: string, bytes: number) => `urn:eddyline:data:EVENTS_data:${name}:${bytes}`;
  // Somebody who may write to the bucket stores other bytes under the name, and as many of them.
  const changed = takeOut(encodeMessage(read(2, "b")), read(2, "b"), "EVENTS_data");
  assert.ok(changed);
  await (await bucket(p)).putBlob({ name: changed.ref.name }, Buffer.alloc(changed.ref.bytes, "y"));
  await forged(read(2, "b"), urn(changed.ref.name, changed.ref.bytes));
  await forged(read(2, "b"), urn(changed.ref.name, changed.ref.bytes - 1)); // a repeat: not looked at
  await forged(read(3, "c"), urn(claim.ref.name, claim.ref.bytes)); // another one's
  const short = takeOut(encodeMessage(read(4, "d")), read(4, "d"), "EVENTS_data");
  assert.ok(short);
  await (await bucket(p)).putBlob({ name: short.ref.name }, short.data);
  await forged(read(4, "d"), urn(short.ref.name, 7));
  await forged(read(5, "e"), "urn:eddyline:data:../../x");
  await forged(read(6, "f"), urn(short.ref.name, 900_000_000_000_000));
  const seen: number[] = [];
  await p.run({ see: on(Read, { start: "first" }, ({ data }) => void seen.push(data.n)) });
  await p.settled();
  assert.deepEqual(seen, [1]);
  assert.deepEqual((await codes(p)).map(String).sort(), [
    "EDDY_DATAREF,permanent,1",
    "EDDY_DATAREF,permanent,1",
    "EDDY_DATAREF,permanent,1",
    "EDDY_OBJECT_CHANGED,attempts,2",
    "EDDY_OBJECT_CHANGED,attempts,2",
  ]);
});

// Events that are too large for a message, with real processes: over HTTP, from the command line, through threads, and
// with a kill between the object and the commit.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { Objm } from "@nats-io/obj";
import { type CloudEvent, encodeMessage, takeOut } from "../../runtime/events/index.ts";
import { eddyJson, runEddy } from "../support/cli.ts";
import { eventually } from "../support/eventually.ts";
import { ofType } from "../support/log.ts";
import { temporaryFolder } from "../support/node.ts";
import { countsOf, startWorld, type World } from "../support/world.ts";

const declarations = `
import { event, on, projection, Type } from "eddyline";
const Asked = event("com.acme.scan.asked", Type.Object({ n: Type.Integer() }));
const Scanned = event("com.acme.scan.read", Type.Object({ n: Type.Integer(), text: Type.String() }));
const Noted = event("com.acme.scan.noted", Type.Object({ n: Type.Integer(), length: Type.Integer() }));
`;
const reader = `${declarations}
export const read = on(Asked, { emits: [Scanned], start: "first" }, async ({ data }, ctx) => {
  await new Promise((resolve) => setTimeout(resolve, 300));
  ctx.emit(Scanned, { n: data.n, text: "x".repeat(3_000_000) });
});`;
const noter = `${declarations}
export const note = on(Scanned, { emits: [Noted], start: "first" }, ({ data }, ctx) => {
  ctx.emit(Noted, { n: data.n, length: data.text.length });
});
export const lengths = projection("NAME", {
  from: [Scanned], state: Type.Object({ length: Type.Integer() }),
  key: ({ data }) => "scan-" + data.n, apply: (_, { data }) => ({ length: data.text.length }),
});`;
const scanned: CloudEvent = {
  specversion: "1.0",
  id: "r1",
  source: "/test",
  type: "com.acme.scan.read",
  datacontenttype: "application/json",
  extensions: {},
  data: undefined,
};
const asked = (n: number) => ({ id: `a${n}`, type: "com.acme.scan.asked", data: { n } });
const lengths = async (world: World) =>
  ofType(await world.log(), "com.acme.scan.noted").map(({ data }) =>
    Reflect.get(Object(data), "length"),
  );

async function objects(world: World) {
  return await (await new Objm(jetstream(world.nc)).open("EVENTS_data")).list();
}

test("P1 P2: killed between the object and the commit, the next attempt stores the same object, and one effect", async () => {
  await using world = await startWorld({
    "read.ts": reader,
    "note.ts": noter.replace("NAME", "lengths"),
  });
  const jsm = await jetstreamManager(world.nc);
  {
    await using node = await world.start();
    await world.produce([asked(1)]);
    // From now on the home stream takes nothing: the object is stored, and the commit waits.
    const { state } = await jsm.streams.info("EVENTS");
    await jsm.streams.update("EVENTS", { max_bytes: state.bytes });
    await eventually(async () => (await objects(world)).length > 0, { timeoutMs: 10_000 });
    await node.kill();
  }
  assert.equal(ofType(await world.log(), "com.acme.scan.read").length, 0, "it was committed");
  const [first] = await objects(world);
  await using _again = await world.start(); // gives the stream its size back
  const rows = await world.settled();
  assert.deepEqual(countsOf(rows, "read.read"), [1, 1, 0, 0]);
  assert.deepEqual(countsOf(rows, "note.note"), [1, 1, 0, 0]);
  assert.deepEqual(await lengths(world), [3_000_000]);
  const after = await objects(world);
  assert.deepEqual(
    after.map(({ name, nuid }) => [name, nuid]),
    [[first?.name, first?.nuid]],
  );
});

test("P1: 3 MB over HTTP, from GitHub and from the command line reach handlers in the process and in a thread; letters and reconcile go on", async () => {
  await using world = await startWorld({
    "note.ts": noter.replace("NAME", "lengths"),
    "aside.ts": `${noter.replace("NAME", "aside")}\nexport const read = on(Asked, { emits: [Scanned] }, ({ data }, ctx) => {
      ctx.emit(Scanned, { n: data.n, text: "x".repeat(2_000_000) });
    });`,
  });
  await using node = await world.start({
    env: {
      EDDY_HTTP_MAX_BODY_BYTES: "16MiB",
      EDDY_FOLDERS: "{aside.ts: {isolation: thread}}",
      EDDY_RETRY_DELAYS: "100ms",
    },
  });
  const post = (id: string, text: string) =>
    fetch(`${node.url}/events`, {
      method: "POST",
      headers: {
        "ce-specversion": "1.0",
        "ce-id": id,
        "ce-source": "/test",
        "ce-type": "com.acme.scan.read",
        "content-type": "application/json",
      },
      body: JSON.stringify({ n: 1, text }),
    });
  const answers = [
    await post("r1", "y".repeat(3_000_000)),
    await post("r1", "y".repeat(3_000_000)),
  ];
  const stored = (await Promise.all(answers.map((answer) => answer.json()))) as {
    events: { seq: number; duplicate: boolean }[];
  }[];
  assert.deepEqual(
    answers.map(({ status }) => status),
    [202, 202],
  );
  assert.deepEqual(
    stored.map(({ events }) => events[0]?.duplicate),
    [false, true],
  );
  const delivery = await fetch(`${node.url}/webhooks/github`, {
    method: "POST",
    headers: {
      "x-github-event": "ping",
      "x-github-delivery": "g1",
      "content-type": "application/json",
    },
    body: JSON.stringify({ zen: "z".repeat(3_000_000), hook_id: 1 }),
  });
  assert.equal(delivery.status, 202);
  using folder = temporaryFolder();
  const file = join(folder.path, "data.json");
  writeFileSync(file, JSON.stringify({ n: 2, text: "z".repeat(2_500_000) }));
  await eddyJson(world.nats, "emit", "com.acme.scan.read", `@${file}`);
  await world.produce([asked(3)]);
  const rows = await world.settled();
  for (const name of ["note.note", "aside.note", "lengths", "aside"]) {
    assert.deepEqual(countsOf(rows, name), [3, 3, 0, 0], name);
  }
  const twice = [2_000_000, 2_000_000, 2_500_000, 2_500_000, 3_000_000, 3_000_000];
  assert.deepEqual(
    (await lengths(world)).toSorted((a, b) => a - b),
    twice,
  );
  assert.equal((await objects(world)).length, 4);

  // One whose object has not come yet, as over a mirror.
  const gone = { ...scanned, id: "gone", data: { n: 4, text: "y".repeat(3_000_000) } };
  const claim = takeOut(encodeMessage(gone), gone, "EVENTS_data");
  const lines = (claim?.message.headerLines ?? "").trim().split("\r\n");
  const headers = lines.map((line) => line.split(": ", 2) as [string, string]);
  assert.equal((await fetch(`${node.url}/events`, { method: "POST", headers })).status, 202);
  const dead = await eventually(
    async () => {
      const letters = await eddyJson<{ letter: number }[]>(world.nats, "dead", "list");
      assert.equal(letters.length, 4);
      return letters;
    },
    { timeoutMs: 10_000 },
  );
  const server = { EDDY_NATS_SERVERS: world.nats.url };
  for (const { letter } of dead) {
    const page = await runEddy(["dead", "show", String(letter)], server);
    assert.match(page.out, /EDDY_OBJECT_MISSING[\s\S]*ce-dataref: urn:eddyline:data:EVENTS_data:/);
  }
  await world.settled();
  const reconciled = await runEddy(["reconcile"], server);
  assert.equal(reconciled.code, 0, reconciled.out);
});

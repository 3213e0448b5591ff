import assert from "node:assert/strict";
import { test } from "node:test";
import { jetstream } from "@nats-io/jetstream";
import { headers } from "nats";
import { eddyJson } from "../support/cli.ts";
import { eventually } from "../support/eventually.ts";
import { countMessages, ofType } from "../support/log.ts";
import { countsOf, startWorld, type World } from "../support/world.ts";

interface Letter {
  readonly letter: number;
  readonly handler: string;
  readonly reason: string;
  readonly id: string | null;
  readonly error: { readonly name: string; readonly message: string };
  readonly origin: { readonly seq: number; readonly subject: string };
  readonly data?: string;
  readonly data_base64?: string;
}

const lettersOf = (world: World) => eddyJson<Letter[]>(world.nats, "dead", "list");

const attributes = {
  "ce-specversion": "1.0",
  "ce-id": "1",
  "ce-source": "/s",
  "ce-type": "com.acme.said",
};

async function publish(
  world: World,
  fields: Readonly<Record<string, string | readonly string[]>> | undefined,
  data: string | Uint8Array,
  natsSubject = "events.com.acme.said.k",
): Promise<number> {
  const lines = headers();
  for (const [name, values] of Object.entries(fields ?? {})) {
    for (const value of [values].flat()) lines.append(name, value);
  }
  const options = fields === undefined ? {} : { headers: lines };
  return (await jetstream(world.nc).publish(natsSubject, data, options)).seq;
}

const deep = `${"[".repeat(200)}${"]".repeat(200)}`;
const json = { "content-type": "application/json" };

// What is published, with which reason it is dead, and what its letter says.
const wrong: readonly [
  Parameters<typeof publish>[1],
  string | Uint8Array,
  reason: string,
  says: RegExp,
][] = [
  [undefined, "garbage", "undecodable", /JSON/],
  [undefined, new Uint8Array([0xff, 0xfe, 0x00]), "undecodable", /JSON|UTF-8/],
  [undefined, "", "undecodable", /is no event/],
  [undefined, `{"specversion":"1.0","id":"1","type":"com.acme.said"}`, "undecodable", /source/],
  [
    undefined,
    `{"specversion":"1.0","id":7,"source":"/s","type":"com.acme.said"}`,
    "undecodable",
    /id must be a string/,
  ],
  [{ ...attributes, "ce-id": "" }, "{}", "undecodable", /id must not be empty/],
  [{ ...attributes, "ce-id": ["a", "b"] }, "{}", "undecodable", /id is given 2 times/],
  [{ ...attributes, "ce-specversion": "2.0" }, "{}", "undecodable", /specversion must be "1\.0"/],
  [
    { ...attributes, "ce-id": "%FF" },
    "{}",
    "undecodable",
    /id is percent-encoded, but not as UTF-8/,
  ],
  [{ ...attributes, ...json, "ce-id": "bad" }, "{", "undecodable", /data is not application\/json/],
  [{ ...attributes, ...json, "ce-id": "deep" }, deep, "undecodable", /nested deeper/],
  [{ ...attributes, "content-type": "application/cloudevents+avro" }, "x", "undecodable", /avro/],
  [
    { ...attributes, "ce-id": "other", "ce-type": "com.acme.other" },
    "{}",
    "undecodable",
    /com\.acme\.other/,
  ],
  [{ ...attributes, "ce-id": "schema" }, `{"n":"one"}`, "schema", /data\.n must be|n must be/],
];

test("P1 P4: what is no event becomes a dead letter that says why, and the events around it are handled", async () => {
  const echo = `
    import { event, on, Type } from "eddyline";
    const Said = event("com.acme.said", Type.Object({ n: Type.Integer() }));
    const Heard = event("com.acme.heard", Type.Object({ n: Type.Integer() }));
    export const echo = on(Said, { emits: [Heard], start: "first" }, ({ data }, ctx) => ctx.emit(Heard, data));
  `;
  await using world = await startWorld({ "echo.ts": echo });
  await using node = await world.start();
  const seqs: number[] = [];
  for (const [at, [fields, data]] of wrong.entries()) {
    seqs.push(await publish(world, fields, data));
    await publish(world, { ...attributes, "ce-id": `good${at}` }, `{"n":${at}}`);
  }
  const good = wrong.length;
  assert.deepEqual(countsOf(await world.settled(), "echo.echo"), [2 * good, good, 0, good]);
  const letters = new Map((await lettersOf(world)).map((letter) => [letter.origin.seq, letter]));
  assert.equal(letters.size, good);
  for (const [at, [fields, data, reason, says]] of wrong.entries()) {
    const letter = letters.get(seqs[at] ?? 0);
    const what = `${JSON.stringify(fields)} ${data}: ${JSON.stringify(letter)}`;
    assert.equal(letter?.reason, reason, what);
    assert.match(letter.error.message, says, what);
  }
  const heard = ofType(await world.log(), "com.acme.heard").map(({ data }) => data);
  assert.deepEqual(
    heard,
    wrong.map((_, n) => ({ n })),
  );
  assert.equal((await node.readiness()).status, 200);
});

test("P1: the letter of a message just below the server's limit is complete, and given back it is handled whole", async () => {
  const source = (body: string) => `
    import { event, on, Permanent, Type } from "eddyline";
    const Said = event("com.acme.said", Type.Unknown());
    const Heard = event("com.acme.heard", Type.Object({ bytes: Type.Integer() }));
    export const echo = on(Said, { emits: [Heard], start: "first", retry: ["20ms"] }, ({ data }, ctx) => {
      ${body}
      ctx.emit(Heard, { bytes: (data as Uint8Array | string).length });
    });
  `;
  await using world = await startWorld(
    { "echo.ts": source(`throw new Error("x".repeat(3_000));`) },
    { maxPayload: 65_536 },
  );
  await using node = await world.start();
  const bytes = new Uint8Array(65_200).map((_, n) => (n * 31) % 256);
  const text = "é🛶".repeat(10_800);
  await publish(
    world,
    { ...attributes, "ce-id": "bytes", "content-type": "application/octet-stream" },
    bytes,
  );
  await publish(world, { ...attributes, "ce-id": "text", "content-type": "text/plain" }, text);
  await eventually(async () => (await countMessages(world.nc, "dead.eddy.*.*.*", "DEAD")) === 2, {
    timeoutMs: 10_000,
  });
  assert.deepEqual(countsOf(await world.settled(), "echo.echo"), [2, 0, 0, 2]);
  const letters = await lettersOf(world);
  for (const { letter, id } of letters) {
    const whole = await eddyJson<Letter>(world.nats, "dead", "show", String(letter));
    if (id === "text") assert.equal(whole.data, text);
    else assert.deepEqual(Buffer.from(whole.data_base64 ?? "", "base64"), Buffer.from(bytes));
  }
  world.write("echo.ts", source(""));
  await eventually(() => node.output().match(/loaded echo\.ts@/g)?.length === 2);
  await eddyJson(world.nats, "dead", "replay", "--all");
  const heard = await eventually(async () => {
    const found = ofType(await world.log(), "com.acme.heard");
    return found.length === 2 ? found : undefined;
  });
  const lengths = heard.map(({ data }) => Reflect.get(Object(data), "bytes"));
  assert.deepEqual(
    lengths.toSorted((a, b) => a - b),
    [text.length, bytes.length],
  );
  assert.deepEqual(countsOf(await world.settled(), "echo.echo"), [2, 2, 0, 0]);
  assert.equal(await countMessages(world.nc, ">", "DEAD"), 0);
});

test("P4: a handler that throws what is no error, never returns, or emits what it did not declare harms its own event only, and its letter says what it did", async () => {
  const handlers = `
    import { event, on, Type } from "eddyline";
    const Said = event("com.acme.said", Type.Object({ n: Type.Integer() }));
    const Heard = event("com.acme.heard", Type.Object({ n: Type.Integer() }));
    const Secret = event("com.acme.secret", Type.Object({}));
    const once = { start: "first", retry: [] } as const;
    export const text = on(Said, once, () => { throw "just a text"; });
    export const nothing = on(Said, once, () => { throw undefined; });
    export const object = on(Said, once, async () => { throw { code: 7 }; });
    export const hostile = on(Said, once, () => { throw new Proxy({}, { get() { throw new Error("no"); } }); });
    export const wordless = on(Said, once, () => { throw Object.assign(new Error(), { message: undefined, name: 7 }); });
    export const stray = on(Said, { ...once, emits: [Heard] }, ({ data }, ctx) => {
      void Promise.reject(new Error("nobody waits for me"));
      void Promise.reject("nor for me");
      setTimeout(() => { throw new Error("nor is this caught"); });
    });
    export const late = on(Said, { ...once, emits: [Heard] }, ({ data }, ctx) => {
      setTimeout(() => ctx.emit(Heard, data));
    });
    export const lines = on(Said, once, () => { throw new Error("first\\r\\nsecond: é 🛶\\u0000\\u001b[31m"); });
    export const endless = on(Said, { ...once, deadline: "150ms" }, () => new Promise(() => {}));
    export const undeclared = on(Said, { ...once, emits: [Heard] }, (_, ctx) => {
      ctx.emit(Secret as never, {} as never);
    });
    export const invalid = on(Said, { ...once, emits: [Heard] }, (_, ctx) => ctx.emit(Heard, { n: "x" } as never));
    export const fine = on(Said, { ...once, emits: [Heard] }, ({ data }, ctx) => ctx.emit(Heard, data));
  `;
  await using world = await startWorld({ "bad.ts": handlers });
  await using node = await world.start();
  await publish(world, { ...attributes, "ce-id": "1" }, `{"n":1}`);
  await publish(world, { ...attributes, "ce-id": "2" }, `{"n":2}`, "events.com.acme.said.other");
  const rows = await world.settled();
  const said: Readonly<Record<string, [reason: string, message: RegExp]>> = {
    text: ["attempts", /^threw "just a text", which is not an Error$/],
    nothing: ["attempts", /^threw undefined, which is not an Error$/],
    object: ["attempts", /^threw \{"code":7\}, which/],
    hostile: ["attempts", /^threw an object that cannot be shown, which/],
    wordless: ["attempts", /^undefined$/],
    lines: ["attempts", /^first\r\nsecond: é 🛶\p{Cc}\p{Cc}\[31m$/u],
    endless: ["attempts", /did not finish .* within 150 ms/],
    undeclared: ["permanent", /emitted com\.acme\.secret, which its declaration does not list/],
    invalid: ["permanent", /emitted com\.acme\.heard with data that breaks its schema/],
  };
  const letters = await lettersOf(world);
  for (const [name, [reason, message]] of Object.entries(said)) {
    assert.deepEqual(countsOf(rows, `bad.${name}`), [2, 0, 0, 2]);
    const own = letters.filter(({ handler }) => handler === `bad.${name}`);
    assert.equal(own.length, 2, name);
    for (const letter of own) {
      assert.equal(letter.reason, reason, JSON.stringify(letter));
      assert.match(letter.error.message, message);
    }
  }
  for (const name of ["fine", "stray", "late"]) {
    assert.deepEqual(countsOf(rows, `bad.${name}`), [2, 2, 0, 0]);
  }
  for (const text of [
    "nobody waits for me",
    "nor for me",
    "nor is this caught",
    "after its result",
  ]) {
    assert.ok(node.output().includes(text), `the log does not say ${text}`);
  }
  assert.deepEqual(
    (await world.log())
      .filter(({ attributes }) => attributes.type !== "com.acme.said")
      .map(({ data }) => data),
    [{ n: 1 }, { n: 2 }],
  );
  for (const line of node.output().trim().split("\n")) JSON.parse(line); // a text with CR LF breaks no line
  assert.equal((await node.readiness()).status, 200);
});

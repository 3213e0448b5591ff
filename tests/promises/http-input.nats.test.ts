import assert from "node:assert/strict";
import { request } from "node:http";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { jetstreamManager } from "@nats-io/jetstream";
import { ofType } from "../support/log.ts";
import { countsOf, startWorld, type World } from "../support/world.ts";

const echo = `
import { event, on, Type } from "eddyline";
const Said = event("com.acme.said", Type.Unknown());
const Heard = event("com.acme.heard", Type.Object({
  id: Type.String(), source: Type.String(), subject: Type.String(), key: Type.String(),
}));
export const echo = on(Said, { emits: [Heard], start: "first" }, (e, ctx) => {
  const key = String(e.extensions.partitionkey ?? "");
  ctx.emit(Heard, { id: e.id, source: e.source, subject: e.subject ?? "", key });
});
`;

const structured = "application/cloudevents+json";
const batch = "application/cloudevents-batch+json";
const said = { specversion: "1.0", id: "1", source: "/s", type: "com.acme.said", data: {} };
const without = (name: string) => JSON.stringify({ ...said, [name]: undefined });
const using = (more: object) => JSON.stringify({ ...said, ...more });
const deep = `${"[".repeat(200)}${"]".repeat(200)}`;

interface Wrong {
  readonly what: string;
  readonly status: number;
  readonly attribute?: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

const inBody = (
  what: string,
  status: number,
  attribute: string | undefined,
  body: string,
): Wrong => ({
  what,
  status,
  ...(attribute === undefined ? {} : { attribute }),
  headers: { "content-type": structured },
  body,
});

const binary = {
  "ce-specversion": "1.0",
  "ce-id": "1",
  "ce-source": "/s",
  "ce-type": "com.acme.said",
};
const inHeaders = (
  what: string,
  status: number,
  attribute: string,
  headers: object,
  body = "{}",
): Wrong => ({
  what,
  status,
  attribute,
  headers: { "content-type": "application/json", ...binary, ...headers },
  body,
});

const wrong: readonly Wrong[] = [
  ...["id", "source", "type", "specversion"].flatMap((name) => [
    inBody(`no ${name}`, 400, name, without(name)),
    inBody(`an empty ${name}`, 400, name, using({ [name]: "" })),
    inBody(`a ${name} that is a number`, 400, name, using({ [name]: 7 })),
    inBody(`a ${name} that is null`, 400, name, using({ [name]: null })),
    inHeaders(`an empty header ce-${name}`, 400, name, { [`ce-${name}`]: "" }),
  ]),
  inBody("a subject that is an object", 400, "subject", using({ subject: {} })),
  inBody("another specversion", 400, "specversion", using({ specversion: "0.3" })),
  inHeaders("another specversion", 400, "specversion", { "ce-specversion": "2.0" }),
  inBody("a time that is none", 400, "time", using({ time: "yesterday" })),
  inBody("an extension that is an object", 400, "ext", using({ ext: {} })),
  inBody("an attribute of 20 kB", 400, "id", using({ id: "x".repeat(20_000) })),
  inBody("no JSON", 400, undefined, `{"specversion":`),
  inBody("no object", 400, undefined, `"event"`),
  inBody("nothing", 400, undefined, ""),
  inBody(
    "data that is nested too deep",
    422,
    "data",
    using({}).replace(`"data":{}`, `"data":${deep}`),
  ),
  inHeaders("data that is nested too deep", 422, "data", {}, deep),
  inHeaders("data that is no JSON", 422, "data", {}, "{"),
  inBody("too many bytes", 413, undefined, using({ data: "x".repeat(1_100_000) })),
  {
    what: "another content type",
    status: 415,
    attribute: "datacontenttype",
    headers: { "content-type": "text/html" },
    body: "<p>",
  },
  {
    what: "a format that is not JSON",
    status: 415,
    attribute: "datacontenttype",
    headers: { "content-type": "application/cloudevents+avro" },
    body: "x",
  },
  {
    what: "a batch with one that has no id",
    status: 400,
    attribute: "id",
    headers: { "content-type": batch },
    body: `[${using({ id: "a" })},${without("id")}]`,
  },
];

test("P1: what is no event is refused over HTTP by a problem document that names the attribute, and nothing is stored", async (t) => {
  await using world = await startWorld({ "echo.ts": echo });
  await using node = await world.start();
  for (const { what, status, attribute, headers, body } of wrong) {
    await t.test(`${status}: ${what}`, async () => {
      const response = await fetch(`${node.url}/events`, { method: "POST", headers, body });
      const answer = await response.text();
      assert.equal(response.status, status, answer);
      assert.equal(response.headers.get("content-type"), "application/problem+json");
      const problem = JSON.parse(answer);
      assert.deepEqual([problem.status, problem.attribute], [status, attribute], answer);
      assert.match(problem.code, /^EDDY_/);
      assert.ok(problem.detail.length > 0 && !/\n\s+at /.test(answer), answer);
    });
  }
  assert.deepEqual(await world.log(), []);
  await post(node.url, structured, using({}));
  assert.deepEqual(countsOf(await world.settled(), "echo.echo"), [1, 1, 0, 0]);
});

const texts = [
  "a.b..c.",
  "two words ",
  "*",
  ">",
  "a.*.>",
  "line\r\nNats-Rollup: all\r\n\r\n",
  "\u0000nul",
  "🛶 canoe é ü",
  "=41",
  "A",
  "%41",
  '"quoted" \\ / {}',
  `${"long ".repeat(2_000)}1`,
  `${"long ".repeat(2_000)}2`,
  "long🛶".repeat(1_000),
];

test("P1: ids, sources, subjects and keys of any text are stored and handled, each as its own event", async () => {
  await using world = await startWorld({ "echo.ts": echo });
  await using node = await world.start();
  const events = [
    ...texts.map((id) => ({ ...said, id })),
    ...texts.map((source) => ({ ...said, source })),
    ...texts.map((subject, n) => ({ ...said, id: `s${n}`, subject })),
    ...texts.map((partitionkey, n) => ({ ...said, id: `k${n}`, partitionkey })),
    { ...said, id: "same", source: "/one" },
    { ...said, id: "same", source: "/two" },
  ];
  await post(node.url, batch, JSON.stringify(events.slice(0, 40)));
  for (const event of events.slice(40)) await post(node.url, structured, JSON.stringify(event));
  const total = events.length;
  assert.deepEqual(countsOf(await world.settled(), "echo.echo"), [total, total, 0, 0]);
  const heard = ofType(await world.log(), "com.acme.heard").map(({ data }) => JSON.stringify(data));
  const expected = events.map((event) => {
    const {
      id,
      source,
      subject = "",
      partitionkey: key = "",
    } = { subject: "", partitionkey: "", ...event };
    return JSON.stringify({ id, source, subject, key });
  });
  assert.deepEqual(heard.toSorted(), expected.toSorted());
  const subjects = (await world.log()).map(({ natsSubject }) => natsSubject);
  for (const subject of subjects)
    assert.match(subject, /^events\.com\.acme\.(said|heard)\.[A-Za-z0-9_=-]+$/);
});

test("P1: Nats-* headers from outside change nothing, and a header that is given twice is refused", async () => {
  await using world = await startWorld({ "echo.ts": echo });
  await using node = await world.start();
  await post(node.url, structured, using({ id: "before" }));
  const foreign = {
    "nats-rollup": "all",
    "nats-msg-id": "before",
    "nats-ttl": "1s",
    "nats-expected-stream": "OTHER",
    "nats-expected-last-sequence": "0",
    "nats-expected-last-subject-sequence": "99",
    "nats-batch-id": "b",
    "nats-batch-sequence": "1",
    "nats-schedule": "@every 1s",
    "nats-schedule-target": "events.com.acme.said.x",
    "nats-incr": "+1",
  };
  const headers = { "content-type": "application/json", ...binary, ...foreign };
  for (const id of ["one", "two"]) {
    const sent = { method: "POST", headers: { ...headers, "ce-id": id }, body: "{}" };
    const response = await fetch(`${node.url}/events`, sent);
    assert.equal(response.status, 202, await response.text());
  }
  const twice = await postTwice(node.url);
  assert.equal(twice.status, 400, twice.body);
  assert.equal(JSON.parse(twice.body).attribute, "id");

  assert.deepEqual(countsOf(await world.settled(), "echo.echo"), [3, 3, 0, 0]);
  const log = await world.log();
  assert.deepEqual(
    ofType(log, "com.acme.said").map(({ attributes }) => attributes.id),
    ["before", "one", "two"],
  );
  assert.deepEqual(await foreignHeaders(world), []);
});

/** `Nats-*` headers in the home stream besides those that the runtime itself sets on a publish or a batch. */
async function foreignHeaders(world: World): Promise<string[]> {
  const jsm = await jetstreamManager(world.nc);
  const found = new Set<string>();
  for (const { seq } of await world.log()) {
    const message = await jsm.streams.getMessage("EVENTS", { seq });
    for (const name of message?.header.keys() ?? []) {
      if (/^nats-/i.test(name)) found.add(`${name}: ${message?.header.get(name)}`);
    }
  }
  const own =
    /^Nats-(?:Batch-(?:Id|Sequence|Commit)|Msg-Id|Expected-(?:Stream: EVENTS|Last-Subject-Sequence: (?!99$)\d+|Last-Subject-Sequence-Subject: ledger\.))/;
  return [...found].filter((header) => !own.test(header) || /: (?:b|before)$/.test(header));
}

async function post(url: string, type: string, body: string): Promise<void> {
  const headers = { "content-type": type };
  const response = await fetch(`${url}/events`, { method: "POST", headers, body });
  assert.equal(response.status, 202, await response.text());
}

/** fetch would join the two lines to one. */
async function postTwice(url: string): Promise<{ status: number | undefined; body: string }> {
  return await new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json", ...binary, "ce-id": ["a", "b"] };
    const sent = request(`${url}/events`, { method: "POST", headers });
    sent.on("error", reject);
    sent.on("response", (response) => {
      text(response).then((body) => resolve({ status: response.statusCode, body }), reject);
    });
    sent.end("{}");
  });
}

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { test } from "node:test";
import { type CloudEvent, EddyError, type StoredEvent } from "../events/index.ts";
import { createApp } from "./app.ts";
import type { HttpPorts } from "./ports.ts";

const legal = { "ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "t" };
const entry = { key: "k", revision: 7, time: new Date(0) };
const envelope = { specversion: "1.0", id: "1", source: "/s", type: "t" };

/** An app over ports that remember what they were given. */
function appWith(ports: Partial<HttpPorts> = {}) {
  const stored: CloudEvent[] = [];
  const bugs: unknown[] = [];
  const app = createApp({
    async store(events) {
      stored.push(...events);
      return events.map(({ id, source }, at): StoredEvent => {
        return { id, source, stream: "EVENTS", seq: at + 1, duplicate: false };
      });
    },
    projections: {
      list: async () => [{ name: "p", entries: 2, positions: ["EVENTS:7"] }],
      keys: async (name, page) => (name === "p" ? { keys: [JSON.stringify(page)] } : undefined),
      entries: async (name, page) =>
        name === "p" ? { entries: [{ ...entry, value: page }], next: "k" } : undefined,
      get: async (name, key) =>
        name === "p" ? { key, value: { key }, revision: 7, time: new Date(0) } : undefined,
      reach: async () => ({ at: { stream: "EVENTS", seq: 5 }, staleMs: 1_500 }),
      watch: async () => (async function* () {})(),
    },
    readiness: () => ({ ready: true }),
    metrics: async () => "up 1\n",
    closing: new AbortController().signal,
    bodyBytesMax: 2_000,
    unexpected: (error) => bugs.push(error),
    ...ports,
  });
  return { app, stored, bugs };
}

interface Problem {
  readonly code: string;
  readonly detail: string;
  readonly attribute?: string;
  readonly index?: number;
  readonly reasons?: string[];
}

async function problemIn(response: Response, status: number): Promise<Problem> {
  assert.equal(response.headers.get("content-type"), "application/problem+json");
  const said = (await response.json()) as Problem & Record<string, unknown>;
  assert.equal(response.status, status, JSON.stringify(said));
  assert.deepEqual([said.status, said.type], [status, `urn:eddyline:problem:${said.code}`]);
  assert.ok(typeof said.title === "string" && typeof said.detail === "string");
  assert.doesNotMatch(JSON.stringify(said), /node_modules|\.ts:\d|at async/);
  return said;
}

function post(path: string, headers: Record<string, string>, body: string | Uint8Array = "") {
  return [path, { method: "POST", headers, body }] as const;
}

test("an event is answered with where it is stored, and nothing else", async () => {
  const { app, stored } = appWith();
  const response = await app.request(...post("/events", legal));
  assert.equal(response.status, 202);
  const at = { stream: "EVENTS", seq: 1, position: "EVENTS:1" };
  const events = [{ id: "1", source: "/s", ...at, duplicate: false }];
  assert.equal(await response.text(), JSON.stringify({ events }));
  assert.equal(stored.length, 1);
});

test("structured events and batches are stored as one request", async () => {
  const { app, stored } = appWith();
  const type = "application/cloudevents-batch+json; charset=utf-8";
  const body = JSON.stringify([envelope, { ...envelope, id: "2" }]);
  const response = await app.request(...post("/events", { "content-type": type }, body));
  assert.equal(response.status, 202);
  assert.deepEqual(
    stored.map(({ id }) => id),
    ["1", "2"],
  );
  const empty = await app.request(...post("/events", { "content-type": type }, "[]"));
  assert.deepEqual(await empty.json(), { events: [] });
});

test("bad events are refused with the status, code and attribute that say why, and nothing is stored", async () => {
  const { app, stored } = appWith();
  const structured = { "content-type": "application/cloudevents+json" };
  const batch = { "content-type": "application/cloudevents-batch+json" };
  const deep = `{"a":${"[".repeat(70)}${"]".repeat(70)}}`;
  for (const [headers, body, status, code, attribute, index] of [
    [{ ...legal, "ce-specversion": "0.3" }, "", 400, "EDDY_EVENT_ATTRIBUTE", "specversion"],
    [{ ...legal, "ce-time": "noon" }, "", 400, "EDDY_EVENT_ATTRIBUTE", "time"],
    [structured, JSON.stringify({ ...envelope, id: 1 }), 400, "EDDY_EVENT_ATTRIBUTE", "id"],
    [
      structured,
      JSON.stringify({ ...envelope, source: "" }),
      400,
      "EDDY_EVENT_ATTRIBUTE",
      "source",
    ],
    [structured, "{", 400, "EDDY_EVENT_MALFORMED"],
    [batch, JSON.stringify([envelope, {}]), 400, "EDDY_EVENT_ATTRIBUTE", "specversion", 1],
    [{ "content-type": "text/plain" }, "hello", 415, "EDDY_EVENT_CONTENT_TYPE", "datacontenttype"],
    [
      { "content-type": "application/cloudevents+avro" },
      "x",
      415,
      "EDDY_EVENT_CONTENT_TYPE",
      "datacontenttype",
    ],
    [{ ...legal, "content-encoding": "gzip" }, "x", 415, "EDDY_HTTP_ENCODING"],
    [{ ...legal, "content-type": "application/json" }, "{", 422, "EDDY_EVENT_DATA", "data"],
    [{ ...legal, "content-type": "application/json" }, deep, 422, "EDDY_EVENT_TOO_DEEP", "data"],
    [
      { ...legal, "content-type": "application/json" },
      `"${"x".repeat(2_000)}"`,
      413,
      "EDDY_HTTP_BODY_TOO_LARGE",
    ],
  ] as const) {
    const said = await problemIn(await app.request(...post("/events", headers, body)), status);
    assert.deepEqual(
      [said.code, said.attribute, said.index],
      [code, attribute, index],
      said.detail,
    );
  }
  assert.deepEqual(stored, []);
});

test("what the store refuses keeps its code, and gets the status that says who has to act", async () => {
  for (const [code, status] of [
    ["EDDY_HOME_FULL", 507],
    ["EDDY_EVENT_TOO_LARGE", 413],
    ["EDDY_NOT_CONNECTED", 503],
    ["EDDY_STORE_TIMEOUT", 503],
    ["EDDY_HOME_MISSING", 503],
  ] as const) {
    const { app, bugs } = appWith({ store: () => Promise.reject(new EddyError(code, "why")) });
    const response = await app.request(...post("/events", legal));
    assert.equal(response.headers.get("retry-after"), status === 503 ? "1" : null);
    assert.deepEqual((await problemIn(response, status)).code, code);
    assert.deepEqual(bugs, []);
  }
});

test("a bug is reported inside and shows nothing outside", async () => {
  const { app, bugs } = appWith({ store: () => Promise.reject(new Error("secret at x.ts:1")) });
  const said = await problemIn(await app.request(...post("/events", legal)), 500);
  assert.equal(said.code, "EDDY_INTERNAL");
  assert.doesNotMatch(said.detail, /secret/);
  assert.equal(bugs.length, 1);
});

test("unknown paths and methods are problems, too", async () => {
  const { app } = appWith();
  assert.equal((await problemIn(await app.request("/nothing"), 404)).code, "EDDY_HTTP_NOT_FOUND");
  for (const [method, path, allow] of [
    ["GET", "/events", "POST"],
    ["PUT", "/webhooks/github", "POST"],
    ["POST", "/projections", "GET, HEAD"],
    ["DELETE", "/projections/p/k", "GET, HEAD"],
    ["POST", "/healthz", "GET, HEAD"],
  ] as const) {
    const response = await app.request(path, { method });
    assert.equal(response.headers.get("allow"), allow, path);
    assert.equal((await problemIn(response, 405)).code, "EDDY_HTTP_METHOD");
  }
  assert.equal((await app.request("/healthz", { method: "HEAD" })).status, 200);
});

test("projections are listed, paged and read, with the revision as ETag", async () => {
  const { app } = appWith();
  const read = async (path: string) => (await app.request(path)).json();
  assert.deepEqual(await read("/projections"), {
    projections: [{ name: "p", entries: 2, positions: ["EVENTS:7"] }],
  });
  assert.deepEqual(await read("/projections/p"), { keys: ['{"limit":100}'] });
  assert.deepEqual(await read("/projections/p?limit=1000&after=a%20b"), {
    keys: ['{"limit":1000,"after":"a b"}'],
  });
  for (const limit of ["0", "1001", "-1", "1.5", "x", "", "1e2"]) {
    const said = await problemIn(await app.request(`/projections/p?limit=${limit}`), 400);
    assert.equal(said.code, "EDDY_HTTP_QUERY");
  }
  const entry = await app.request("/projections/p/k");
  assert.deepEqual([entry.headers.get("etag"), await entry.json()], ['"7"', { key: "k" }]);
  assert.equal(
    (await problemIn(await app.request("/projections/x"), 404)).code,
    "EDDY_PROJECTION_UNKNOWN",
  );
  assert.equal(
    (await problemIn(await app.request("/projections/x/k"), 404)).code,
    "EDDY_ENTRY_UNKNOWN",
  );
});

test("entries are asked for by index and prefix; what is no question is refused, and says what would be one", async () => {
  const { app } = appWith();
  const read = async (query: string) => (await app.request(`/projections/p?${query}`)).json();
  assert.deepEqual(await read("where=city=a%3Db%20%26&where=tag=&prefix=c-&after=c-1&limit=2"), {
    keys: ['{"limit":2,"after":"c-1","prefix":"c-","where":[["city","a=b &"],["tag",""]]}'],
  });
  assert.deepEqual(await read("values=true&prefix="), {
    entries: [{ ...entry, time: "1970-01-01T00:00:00.000Z", value: { limit: 100, prefix: "" } }],
    next: "k",
  });
  const many = Array.from({ length: 9 }, () => "where=a=b").join("&");
  for (const query of ["where=city", "where==x", "where=a.b=x", "values=1", "city=Bern", many]) {
    const said = await problemIn(await app.request(`/projections/p?${query}`), 400);
    assert.equal(said.code, "EDDY_HTTP_QUERY", query);
    assert.match(said.detail, /where|values/, query);
  }
});

test("any key can be asked for", async () => {
  const { app } = appWith();
  for (const key of [
    "a/b",
    "a.b",
    " ",
    "%",
    "%2F",
    "é😀",
    "\r\n\0",
    "?x=1",
    "#",
    "*",
    ">",
    "\\",
    "a//b",
  ]) {
    const response = await app.request(`/projections/p/${encodeURIComponent(key)}`);
    assert.deepEqual(await response.json(), { key });
  }
  assert.deepEqual(await (await app.request("/projections/p/octo/hello")).json(), {
    key: "octo/hello",
  });
});

test("what the client has is not sent again", async () => {
  const { app } = appWith();
  for (const [tag, status] of [
    ['"7"', 304],
    ['W/"7"', 304],
    ['"6", "7"', 304],
    ["*", 304],
    ['"6"', 200],
    ["7", 200],
  ] as const) {
    const response = await app.request("/projections/p/k", { headers: { "if-none-match": tag } });
    assert.equal(response.status, status, tag);
    assert.equal(response.headers.get("etag"), '"7"');
    if (status === 304) assert.equal(await response.text(), "");
  }
});

test("health, readiness and metrics", async () => {
  const { app } = appWith();
  assert.equal((await app.request("/healthz")).status, 200);
  assert.deepEqual(await (await app.request("/readyz")).json(), { ready: true });
  const metrics = await app.request("/metrics");
  assert.equal(metrics.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  assert.equal(await metrics.text(), "up 1\n");
  const reasons = ["not connected", "no handlers"];
  const waiting = appWith({ readiness: () => ({ ready: false, reasons }) });
  const said = await problemIn(await waiting.app.request("/readyz"), 503);
  assert.deepEqual([said.code, said.reasons], ["EDDY_NOT_READY", reasons]);
  assert.equal((await waiting.app.request("/healthz")).status, 200);
});

const delivery = {
  "content-type": "application/json",
  "x-github-event": "issues",
  "x-github-delivery": "d-1",
};
const opened = JSON.stringify({
  action: "opened",
  issue: { number: 5, updated_at: "2024-01-01T00:00:00Z" },
  repository: { url: "https://api.github.com/repos/o/r" },
});

test("a delivery of GitHub is stored as its event, as JSON and as a form", async () => {
  const { app, stored } = appWith();
  const form = { ...delivery, "content-type": "application/x-www-form-urlencoded" };
  for (const [headers, body] of [
    [delivery, opened],
    [form, new URLSearchParams({ payload: opened }).toString()],
  ] as const) {
    const response = await app.request(...post("/webhooks/github", headers, body));
    assert.equal(response.status, 202);
    const { type, source, id, subject, time, data } = stored.pop() as CloudEvent;
    assert.deepEqual(
      [type, source, id, subject, time],
      [
        "com.github.issue.opened",
        "https://api.github.com/repos/o/r",
        "d-1",
        "5",
        "2024-01-01T00:00:00Z",
      ],
    );
    assert.deepEqual(data, JSON.parse(opened));
  }
});

test("with a secret only signed deliveries are stored", async () => {
  const { app, stored } = appWith({ githubSecret: "It's a Secret to Everybody" });
  const sign = (secret: string, body: string) =>
    `sha256=${createHmac("sha256", secret).update(body).digest("hex")}`;
  const send = (signature: Record<string, string>) =>
    app.request(...post("/webhooks/github", { ...delivery, ...signature }, opened));
  for (const wrong of [
    {},
    { "x-hub-signature-256": "" },
    { "x-hub-signature-256": "sha256=" },
    { "x-hub-signature-256": sign("other", opened) },
    { "x-hub-signature-256": sign("It's a Secret to Everybody", `${opened} `) },
    { "x-hub-signature": sign("It's a Secret to Everybody", opened) },
  ]) {
    const response = await send(wrong as Record<string, string>);
    assert.ok(response.headers.has("www-authenticate"));
    assert.equal((await problemIn(response, 401)).code, "EDDY_WEBHOOK_SIGNATURE");
  }
  assert.equal(stored.length, 0);
  const right = await send({ "x-hub-signature-256": sign("It's a Secret to Everybody", opened) });
  assert.equal(right.status, 202);
  // The example of GitHub's documentation.
  const known = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
  const hello = { ...delivery, "x-hub-signature-256": known };
  const accepted = await app.request(...post("/webhooks/github", hello, "Hello, World!"));
  assert.equal((await problemIn(accepted, 400)).code, "EDDY_EVENT_MALFORMED");
});

test("deliveries that are none are refused by what is wrong with them", async () => {
  const { app, stored } = appWith();
  const without = (name: string) =>
    Object.fromEntries(Object.entries(delivery).filter(([given]) => given !== name));
  const form = { ...delivery, "content-type": "application/x-www-form-urlencoded" };
  for (const [headers, body, status, code, attribute] of [
    [without("x-github-event"), opened, 400, "EDDY_EVENT_ATTRIBUTE", "type"],
    [{ ...delivery, "x-github-event": "a.b" }, opened, 400, "EDDY_EVENT_ATTRIBUTE", "type"],
    [without("x-github-delivery"), opened, 400, "EDDY_EVENT_ATTRIBUTE", "id"],
    [
      { ...delivery, "content-type": "text/plain" },
      opened,
      415,
      "EDDY_EVENT_CONTENT_TYPE",
      "datacontenttype",
    ],
    [delivery, "{", 400, "EDDY_EVENT_MALFORMED", "data"],
    [delivery, "", 400, "EDDY_EVENT_MALFORMED", undefined],
    [delivery, "[]", 400, "EDDY_EVENT_MALFORMED", undefined],
    [form, "a=b", 400, "EDDY_EVENT_MALFORMED", undefined],
    [delivery, `{"a":${"[".repeat(70)}${"]".repeat(70)}}`, 422, "EDDY_EVENT_TOO_DEEP", "data"],
    [delivery, JSON.stringify("x".repeat(2_000)), 413, "EDDY_HTTP_BODY_TOO_LARGE", undefined],
  ] as const) {
    const said = await problemIn(
      await app.request(...post("/webhooks/github", headers, body)),
      status,
    );
    assert.deepEqual([said.code, said.attribute], [code, attribute], said.detail);
  }
  assert.deepEqual(stored, []);
});

test("pages of the origins that are named may read answers, others not; by default nobody is told anything", async () => {
  const { app } = appWith({ origins: ["https://shop.example.com"] });
  const asked = {
    "access-control-request-method": "POST",
    "access-control-request-headers": "content-type",
  };
  const ask = (origin: string) =>
    app.request("/events", { method: "OPTIONS", headers: { origin, ...asked } });
  const allowed = await ask("https://shop.example.com");
  const allow = (response: Response) => response.headers.get("access-control-allow-origin");
  assert.deepEqual([allowed.status, allow(allowed)], [204, "https://shop.example.com"]);
  assert.equal(allowed.headers.get("access-control-allow-headers"), "content-type");
  assert.equal(allow(await ask("https://evil.example.com")), null);
  const headers = { origin: "https://shop.example.com" };
  const read = await app.request("/projections/p/k", { headers });
  assert.equal(allow(read), "https://shop.example.com");
  assert.match(read.headers.get("access-control-expose-headers") ?? "", /eddy-position/);
  assert.equal(allow(await app.request("/metrics", { headers })), null);
  assert.equal(allow(await appWith().app.request("/projections/p/k", { headers })), null);
});

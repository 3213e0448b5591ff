import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decodeRequest } from "./http-binding.ts";

const legal: [string, string][] = [
  ["Ce-Specversion", "1.0"],
  ["ce-id", "1"],
  ["CE-SOURCE", "/s"],
  ["ce-type", "t"],
];
const envelope = { specversion: "1.0", id: "1", source: "/s", type: "t" };
const structured: [string, string][] = [
  ["content-type", "application/cloudevents+json; charset=utf-8"],
];
const batch: [string, string][] = [["content-type", "application/cloudevents-batch+json"]];
const json = (value: unknown) => Buffer.from(JSON.stringify(value));

function faultOf(headers: [string, string][], body: Uint8Array = Buffer.alloc(0)): string {
  const decoded = decodeRequest(headers, body);
  assert.ok(!decoded.ok, "it decoded");
  const { fault, index } = decoded;
  return [fault.code, index, fault.attribute].filter((part) => part !== undefined).join(" ");
}

test("binary mode: attributes are headers in any case, data is the body", () => {
  const decoded = decodeRequest(
    [
      ...legal,
      ["Content-Type", "application/json"],
      ["ce-subject", "caf\xe9%20%E2%82%AC"],
      ["Nats-Rollup", "all"],
    ],
    json({ a: 1 }),
  );
  assert.ok(decoded.ok);
  const [event] = decoded.events;
  assert.deepEqual(
    [event?.subject, event?.datacontenttype, event?.data, event?.extensions],
    ["café €", "application/json", { a: 1 }, {}],
  );
});

test("structured and batched mode", () => {
  const one = decodeRequest(structured, json(envelope));
  assert.ok(one.ok && one.events.length === 1);
  const many = decodeRequest(batch, json([envelope, { ...envelope, id: "2" }]));
  assert.deepEqual(many.ok && many.events.map((event) => event.id), ["1", "2"]);
  assert.deepEqual(decodeRequest(batch, json([])), { ok: true, events: [] });
});

test("an attribute given twice is refused and named, also where the values are equal", () => {
  assert.equal(faultOf([...legal, ["Ce-Id", "1"]]), "EDDY_EVENT_ATTRIBUTE id");
  assert.equal(
    faultOf([...structured, ...structured], json(envelope)),
    "EDDY_EVENT_CONTENT_TYPE datacontenttype",
  );
});

test("a batch is all or nothing: its fault names index and attribute", () => {
  const { id: _, ...nameless } = envelope;
  assert.equal(faultOf(batch, json([envelope, nameless])), "EDDY_EVENT_ATTRIBUTE 1 id");
  assert.equal(faultOf(batch, json([envelope, 5])), "EDDY_EVENT_MALFORMED 1");
  assert.equal(faultOf(batch, json(envelope)), "EDDY_EVENT_MALFORMED");
  assert.equal(faultOf(batch, Buffer.from("[")), "EDDY_EVENT_MALFORMED");
});

test("what is no CloudEvent, or one in another format, is a fault of the content type", () => {
  for (const type of ["application/json", "text/plain", "application/cloudevents+xml", ""]) {
    assert.equal(
      faultOf([["content-type", type]], json(envelope)),
      "EDDY_EVENT_CONTENT_TYPE datacontenttype",
    );
  }
  assert.equal(faultOf([]), "EDDY_EVENT_CONTENT_TYPE datacontenttype");
});

test("data that does not decode is a fault of the data", () => {
  assert.equal(
    faultOf([...legal, ["content-type", "application/json"]], Buffer.from("{")),
    "EDDY_EVENT_DATA data",
  );
});

test("no request makes it throw", () => {
  const name = fc.constantFrom(
    "ce-id",
    "ce-type",
    "ce-source",
    "ce-specversion",
    "content-type",
    "__proto__",
  );
  const value = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.constantFrom("1.0", "application/cloudevents-batch"),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(name, value)), fc.uint8Array(), (headers, body) => {
      decodeRequest(headers, body);
    }),
  );
});

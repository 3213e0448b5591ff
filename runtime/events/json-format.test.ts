import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { anyEvent } from "./arbitraries.ts";
import { bounds } from "./attributes.ts";
import { decodeJsonEvent, fromJsonEnvelope, toJsonEnvelope } from "./json-format.ts";

const legal = { specversion: "1.0", id: "1", source: "/s", type: "t" };
const decode = (envelope: unknown) => decodeJsonEvent(Buffer.from(JSON.stringify(envelope)));

function faultOf(envelope: unknown) {
  const decoded = decode(envelope);
  assert.ok(!decoded.ok, "it decoded");
  return `${decoded.fault.code} ${decoded.fault.attribute ?? ""}`.trim();
}

test("an event comes back from its envelope", () => {
  fc.assert(
    fc.property(anyEvent, (event) => {
      assert.deepEqual(decode(toJsonEnvelope(event)), { ok: true, event });
    }),
  );
});

test("what is no envelope is said to be malformed", () => {
  for (const envelope of [[], null, "text", 1, true])
    assert.equal(faultOf(envelope), "EDDY_EVENT_MALFORMED");
  for (const text of ["", "{", "\u0000", "{}x"]) {
    const decoded = decodeJsonEvent(Buffer.from(text));
    assert.ok(!decoded.ok && decoded.fault.code === "EDDY_EVENT_MALFORMED");
  }
  const notUtf8 = decodeJsonEvent(Uint8Array.from([0x22, 0xff, 0x22]));
  assert.ok(!notUtf8.ok && notUtf8.fault.code === "EDDY_EVENT_MALFORMED");
});

test("a byte order mark before the envelope is passed over", () => {
  assert.ok(decodeJsonEvent(Buffer.from(`\ufeff${JSON.stringify(legal)}`)).ok);
});

test("data in base64 is decoded as its content type says; without one it is bytes", () => {
  const base64 = Buffer.from('{"a":1}').toString("base64");
  const typed = decode({ ...legal, datacontenttype: "application/json", data_base64: base64 });
  assert.ok(typed.ok);
  assert.deepEqual(typed.event.data, { a: 1 });
  const bare = decode({ ...legal, data_base64: base64 });
  assert.ok(bare.ok);
  assert.deepEqual(bare.event.data, new Uint8Array(Buffer.from('{"a":1}')));
  assert.equal(bare.event.datacontenttype, "application/octet-stream");
  for (const wrong of ["a", "a-b_", "ab c", "é", 5, {}]) {
    assert.equal(faultOf({ ...legal, data_base64: wrong }), "EDDY_EVENT_DATA data_base64");
  }
  assert.equal(
    faultOf({ ...legal, data: null, data_base64: "" }),
    "EDDY_EVENT_MALFORMED data_base64",
  );
});

test("where the content type is no JSON, data is the text of the data", () => {
  const xml = decode({ ...legal, datacontenttype: "application/xml", data: "<é/>" });
  assert.ok(xml.ok);
  assert.deepEqual(xml.event.data, new Uint8Array(Buffer.from("<é/>")));
  const text = decode({ ...legal, datacontenttype: "text/plain", data: "é" });
  assert.ok(text.ok && text.event.data === "é");
  assert.equal(
    faultOf({ ...legal, datacontenttype: "text/plain", data: {} }),
    "EDDY_EVENT_DATA data",
  );
});

test("data in an envelope may be as deep as data anywhere else", () => {
  let data: unknown = [];
  for (let level = 1; level < bounds.depthMax; level++) data = [data];
  assert.ok(decode({ ...legal, data }).ok);
  assert.equal(faultOf({ ...legal, data: [data] }), "EDDY_EVENT_TOO_DEEP data");
});

test("__proto__ in an envelope is a fault and pollutes nothing", () => {
  const decoded = decodeJsonEvent(
    Buffer.from('{"specversion":"1.0","id":"1","source":"s","type":"t","__proto__":{"bad":1}}'),
  );
  assert.ok(!decoded.ok && decoded.fault.attribute === "__proto__");
  assert.equal(Reflect.get({}, "bad"), undefined);
});

test("no JSON and no bytes make it throw", () => {
  fc.assert(fc.property(fc.jsonValue(), (value) => void fromJsonEnvelope(value)));
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => void decodeJsonEvent(bytes)));
});

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Packr } from "msgpackr";
import { jsonData } from "./arbitraries.ts";
import { bounds } from "./attributes.ts";
import { codecOf, decodeData, encodeData } from "./data.ts";
import { withinDepth } from "./json-text.ts";

const msgpack = "application/msgpack";

function faultOf(bytes: Uint8Array | number[], contentType?: string): string {
  const decoded = decodeData(Uint8Array.from(bytes), contentType);
  assert.ok(!decoded.ok, "it decoded");
  return decoded.fault.code;
}

function nested(levels: number): unknown {
  let value: unknown = [];
  for (let level = 1; level < levels; level++) value = [value];
  return value;
}

test("content types name their codec whatever their case, suffix and parameters", () => {
  const table = {
    json: [
      undefined,
      "application/json",
      "Application/JSON; charset=utf-8",
      "text/json",
      "a/b+json",
    ],
    msgpack: [msgpack, "application/x-msgpack", "application/vnd.msgpack", "a/b+msgpack"],
    text: ["text/plain", "text/csv; header=present"],
    bytes: ["image/png", "application/octet-stream", "", "json", "application/jsonx"],
  };
  for (const [codec, types] of Object.entries(table)) {
    for (const type of types) assert.equal(codecOf(type), codec, type);
  }
});

test("data comes back from its bytes", () => {
  fc.assert(
    fc.property(jsonData, fc.constantFrom("application/json", msgpack), (data, type) => {
      assert.deepEqual(decodeData(encodeData(data, type), type), { ok: true, data });
    }),
  );
  assert.deepEqual(decodeData(encodeData("\ufeffé", "text/plain"), "text/plain"), {
    ok: true,
    data: "\ufeffé",
  });
  assert.deepEqual(decodeData(encodeData(undefined, msgpack), msgpack), {
    ok: true,
    data: undefined,
  });
});

test("decoding throws for no bytes and no content type", () => {
  const types = fc.constantFrom(undefined, msgpack, "text/plain", "a/b");
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), types, (bytes, type) => {
      const decoded = decodeData(bytes, type);
      if (decoded.ok) withinDepth(decoded.data, bounds.depthMax);
    }),
    { numRuns: 3_000 },
  );
});

test("what is not as its content type says is a fault of the data", () => {
  assert.equal(faultOf(Buffer.from("{")), "EDDY_EVENT_DATA");
  assert.equal(faultOf([0xff, 0xfe]), "EDDY_EVENT_DATA");
  assert.equal(faultOf([0xff], "text/plain"), "EDDY_EVENT_DATA");
  assert.equal(faultOf([0xc1], msgpack), "EDDY_EVENT_DATA");
  assert.equal(faultOf([0x01, 0x01], msgpack), "EDDY_EVENT_DATA");
});

test("D1: data is at most as deep as the bound, in JSON and MessagePack alike", () => {
  for (const type of ["application/json", msgpack]) {
    const deepest = encodeData(nested(bounds.depthMax), type);
    assert.ok(decodeData(deepest, type).ok);
    assert.throws(() => encodeData(nested(bounds.depthMax + 1), type), TypeError);
  }
  assert.equal(
    faultOf(Buffer.from(JSON.stringify(nested(bounds.depthMax + 1)))),
    "EDDY_EVENT_TOO_DEEP",
  );
  assert.equal(
    faultOf(new Packr().pack(nested(bounds.depthMax + 1)), msgpack),
    "EDDY_EVENT_TOO_DEEP",
  );
  assert.match(faultOf(Buffer.alloc(1_000_000, "[")), /EDDY_EVENT_(DATA|TOO_DEEP)/);
  assert.equal(faultOf(Buffer.alloc(1_000_000, 0x91), msgpack), "EDDY_EVENT_TOO_DEEP");
});

test("M1: a header that announces billions of items costs nothing", () => {
  const huge = [0xff, 0xff, 0xff, 0xff];
  const before = process.memoryUsage().heapUsed;
  const started = performance.now();
  for (const token of [0xdd, 0xdf, 0xdb, 0xc6, 0xc9]) {
    assert.equal(faultOf([token, ...huge], msgpack), "EDDY_EVENT_DATA");
    assert.equal(faultOf([token, ...huge, 1, 2, 3], msgpack), "EDDY_EVENT_DATA");
  }
  // Arrays in arrays, each announcing as many items as there are bytes.
  const nest = Array.from({ length: 60 }, () => [0xdd, 0x00, 0x0f, 0x42, 0x40]).flat();
  assert.equal(faultOf([...nest, ...Buffer.alloc(1_000_000)], msgpack), "EDDY_EVENT_DATA");
  assert.ok(performance.now() - started < 1_000);
  assert.ok(process.memoryUsage().heapUsed - before < 50_000_000);
});

test("M3: extensions that would build circles, classes or regular expressions are refused", () => {
  const circle: unknown[] = [];
  circle.push(circle);
  for (const value of [
    circle,
    new Set([1]),
    new Error("x"),
    /x/,
    [new Map([[{}, 1]])],
    2n ** 80n,
  ]) {
    const bytes = new Packr({ structuredClone: true, moreTypes: true }).pack(value);
    assert.equal(faultOf(bytes, msgpack), "EDDY_EVENT_DATA");
  }
  for (const value of [circle, 2n ** 80n]) {
    assert.throws(() => encodeData(value, msgpack), TypeError);
  }
  for (const value of [new Date(1_700_000_000_000), { a: undefined }]) {
    assert.deepEqual(decodeData(encodeData(value, msgpack), msgpack), { ok: true, data: value });
  }
});

test("what a codec cannot hold is a TypeError when it is encoded", () => {
  const circle: Record<string, unknown> = {};
  circle.self = circle;
  for (const value of [circle, () => 1, 1n])
    assert.throws(() => encodeData(value, undefined), TypeError);
  assert.throws(() => encodeData({}, "text/plain"), TypeError);
  assert.throws(() => encodeData("text", "image/png"), TypeError);
});

test("a key __proto__ pollutes nothing", () => {
  const json = decodeData(
    Buffer.from('{"__proto__":{"bad":1},"constructor":{"prototype":{"bad":1}}}'),
    undefined,
  );
  const packed = decodeData(
    Uint8Array.from([
      0x81,
      0xa9,
      ...Buffer.from("__proto__"),
      0x81,
      0xa3,
      ...Buffer.from("bad"),
      1,
    ]),
    msgpack,
  );
  assert.ok(json.ok && packed.ok);
  for (const data of [json.data, packed.data, {}])
    assert.equal(Reflect.get(Object(data), "bad"), undefined);
});

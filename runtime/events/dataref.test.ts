import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeData } from "./data.ts";
import { datarefOf, digestOf, isAway, messageWith, namesIn, putBack, takeOut } from "./dataref.ts";
import type { CloudEvent } from "./event.ts";
import { decodeStored, type EncodedMessage, encodeMessage } from "./nats-binding.ts";

const base: CloudEvent = {
  specversion: "1.0",
  id: "e 1 é",
  source: "/test",
  type: "com.acme.scan.read",
  datacontenttype: "application/json",
  extensions: { partitionkey: "k" },
  data: { n: 1, text: "é".repeat(100), list: [1.5, null, true] },
};

function decoded({ headerLines, data }: EncodedMessage): CloudEvent {
  const block = Buffer.from(`NATS/1.0\r\n${headerLines}\r\n`, "latin1");
  const result = decodeStored(Buffer.concat([block, data]), block.byteLength);
  assert.ok(result.ok);
  return result.event;
}

function takenOut(event: CloudEvent) {
  const claim = takeOut(encodeMessage(event), event, "EVENTS_data");
  assert.ok(claim);
  return claim;
}

for (const [what, more] of [
  ["JSON", {}],
  ["MessagePack", { datacontenttype: "application/msgpack" }],
  ["text", { datacontenttype: "text/plain", data: "é".repeat(10) }],
  ["bytes", { datacontenttype: "avro/binary", data: Uint8Array.of(0, 255, 13, 10) }],
  ["JSON that its producer does not call so", { datacontenttype: undefined }],
  [
    "an event in an event, which is structured",
    { datacontenttype: "application/cloudevents+json" },
  ],
  [
    "headers that are structured for their size",
    { extensions: { long: "%".repeat(16_000), more: "%".repeat(16_000) } },
  ],
] as const) {
  test(`data that is taken out of an event and put back is what it was: ${what}`, () => {
    const { datacontenttype, ...rest } = { ...base, ...more };
    const event: CloudEvent = datacontenttype === undefined ? rest : { ...rest, datacontenttype };
    const claim = takenOut(event);
    const away = decoded(claim.message);
    assert.equal(away.data, undefined);
    assert.ok(isAway(away));
    assert.deepEqual(datarefOf(away), claim.ref);
    assert.deepEqual(
      [claim.ref.bytes, claim.ref.digest],
      [claim.data.byteLength, digestOf(claim.data)],
    );
    const data = decodeData(claim.data, away.datacontenttype);
    assert.ok(data.ok);
    const whole = putBack(away, data.data);
    const named = { ...event, datacontenttype: datacontenttype ?? "application/json" };
    assert.deepEqual(whole, named);
    assert.deepEqual(decoded(messageWith(whole, claim.data)), named);
  });
}

test("D1 D3: a foreign dataref, and any beside data, is an attribute like all others", () => {
  const withRef = (dataref: string | number, data?: unknown) => ({
    ...base,
    data,
    extensions: { dataref },
  });
  assert.ok(!isAway(base));
  assert.ok(!isAway({ ...base, data: undefined }));
  for (const dataref of ["http://127.0.0.1/x", "urn:other:data:x", "file:///etc/passwd", 7]) {
    assert.ok(!isAway(withRef(dataref)), String(dataref));
  }
  const own = String(decoded(takenOut(base).message).extensions.dataref);
  assert.ok(isAway(withRef(own)));
  assert.ok(!isAway(withRef(own, { n: 1 })));
  // An event cannot have both: its own reference is not replaced.
  const large = withRef("http://127.0.0.1/x", base.data);
  assert.equal(takeOut(encodeMessage(large), large, "EVENTS_data"), undefined);
});

test("D2: a reference that is broken, or was copied from another event, leads nowhere", () => {
  const away = decoded(takenOut(base).message);
  const own = String(away.extensions.dataref);
  assert.ok(datarefOf(away));
  for (const event of [
    { ...away, id: "e2" },
    { ...away, source: "/other" },
    { ...away, extensions: { dataref: own.replace("EVENTS_data", "secrets") } },
    { ...away, extensions: { dataref: own.replace("EVENTS_data", "a.b.*_data") } },
    { ...away, extensions: { dataref: `${own}0000000000000000` } },
    { ...away, extensions: { dataref: "urn:eddyline:data:" } },
  ]) {
    assert.ok(isAway(event));
    assert.equal(datarefOf(event), undefined);
  }
});

test("the names of objects are found in whatever encloses a reference", () => {
  const { message, ref } = takenOut(base);
  const twice = Buffer.from(`\u0000${message.headerLines}…${message.headerLines}`);
  assert.deepEqual(namesIn(twice), [ref.name, ref.name]);
  assert.deepEqual(namesIn(Buffer.from("urn:eddyline:data:")), []);
});

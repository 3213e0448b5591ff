import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { anyEvent } from "./arbitraries.ts";
import type { CloudEvent } from "./event.ts";
import { parseHeaderBlock } from "./headers.ts";
import { decodeMessage, decodeStored, encodeMessage } from "./nats-binding.ts";

const legal = "ce-specversion: 1.0\r\nce-id: 1\r\nce-source: /s\r\nce-type: t\r\n";
const decode = (lines: string, data: Uint8Array | string = "") =>
  decodeMessage(parseHeaderBlock(Buffer.from(`NATS/1.0\r\n${lines}\r\n`)), Buffer.from(data));

function faultOf(lines: string, data?: string): string {
  const decoded = decode(lines, data);
  assert.ok(!decoded.ok, "it decoded");
  return `${decoded.fault.code} ${decoded.fault.attribute ?? ""}`.trim();
}

test("any event comes back from its message, and no part of it becomes a header of its own", () => {
  fc.assert(
    fc.property(anyEvent, (event) => {
      const { headerLines, data } = encodeMessage(event);
      assert.match(headerLines, /^(?:(?:ce-[a-z0-9]+|content-type): [ -~]*\r\n)+$/);
      // No content type means JSON, and is said on the wire.
      const said = event.data === undefined ? {} : { datacontenttype: "application/json" };
      assert.deepEqual(decode(headerLines, data), { ok: true, event: { ...said, ...event } });
    }),
    { numRuns: 500 },
  );
});

test("an event whose attributes do not fit into headers is stored structured", () => {
  const event: CloudEvent = {
    specversion: "1.0",
    id: "😀".repeat(4_000),
    source: "é".repeat(8_000),
    type: "t",
    extensions: {},
    datacontenttype: "application/msgpack",
    data: { bytes: new Uint8Array([1, 2]), at: new Date(0) },
  };
  const { headerLines, data } = encodeMessage(event);
  assert.equal(headerLines, "content-type: application/cloudevents+json\r\n");
  const decoded = decode(headerLines, data);
  assert.ok(decoded.ok);
  assert.equal(decoded.event.id, event.id);
  assert.deepEqual(decoded.event.data, event.data);
});

test("structured events are read with and without a header", () => {
  const envelope = JSON.stringify({
    specversion: "1.0",
    id: "1",
    source: "/s",
    type: "t",
    data: 5,
  });
  assert.ok(decodeMessage(undefined, Buffer.from(envelope)).ok);
  assert.ok(decode("Nats-Msg-Id: x\r\n", envelope).ok);
  for (const type of [
    "application/cloudevents+json",
    "Application/CloudEvents+JSON; charset=utf-8",
    "application/cloudevents",
  ]) {
    assert.ok(decode(`Content-Type: ${type}\r\n`, envelope).ok, type);
  }
});

test("event formats without a codec are a fault of the content type", () => {
  for (const type of ["application/cloudevents+avro", "application/cloudevents-batch+json"]) {
    assert.equal(faultOf(`content-type: ${type}\r\n`), "EDDY_EVENT_CONTENT_TYPE datacontenttype");
  }
  assert.equal(
    faultOf(`${legal}content-type: a/b\r\ncontent-type: a/c\r\n`),
    "EDDY_EVENT_CONTENT_TYPE datacontenttype",
  );
});

test("an attribute that is missing, given twice or badly encoded is named", () => {
  assert.equal(faultOf("ce-id: 1\r\n"), "EDDY_EVENT_ATTRIBUTE specversion");
  assert.equal(faultOf(`${legal}ce-id: 2\r\n`), "EDDY_EVENT_ATTRIBUTE id");
  assert.equal(faultOf(`${legal}CE-ID: 1\r\n`), "EDDY_EVENT_ATTRIBUTE id");
  assert.equal(faultOf(`${legal}ce-subject: %C0%A0\r\n`), "EDDY_EVENT_ATTRIBUTE subject");
  assert.equal(faultOf(`${legal}ce-subject:\r\n`), "EDDY_EVENT_ATTRIBUTE subject");
  assert.equal(faultOf(`${legal}ce-data: x\r\n`), "EDDY_EVENT_ATTRIBUTE data");
  assert.equal(faultOf(`${legal}ce-: x\r\n`), "EDDY_EVENT_ATTRIBUTE");
});

test("the content type may stand in ce-datacontenttype, as one SDK writes it", () => {
  const decoded = decode(`${legal}ce-datacontenttype: text/plain\r\n`, "x");
  assert.ok(decoded.ok && decoded.event.data === "x");
});

test("foreign Nats- headers are no part of the event", () => {
  const decoded = decode(`${legal}Nats-Rollup: all\r\nNats-Msg-Id: 7\r\n`, "{}");
  assert.ok(decoded.ok);
  assert.doesNotMatch(encodeMessage(decoded.event).headerLines, /nats/i);
});

test("no message makes it throw", () => {
  const line = fc.oneof(
    fc.constantFrom("ce-id: 1", "ce-specversion: 1.0", "ce-source: s", "ce-type: t", "ce-time: x"),
    fc.constantFrom(
      "content-type: application/msgpack",
      "content-type: application/cloudevents+json",
    ),
    fc.string({ unit: "binary" }),
  );
  fc.assert(
    fc.property(fc.array(line), fc.uint8Array(), (lines, data) => {
      decode(lines.map((text) => `${text}\r\n`).join(""), data);
    }),
    { numRuns: 1_000 },
  );
});

test("P1: what stands on the short way is what the whole binding reads, whatever the headers look like", () => {
  const oddLines = fc.constantFrom(
    "",
    "ce-id: 2\r\n",
    "CE-Id: 2\r\n",
    "ce-ext:x\r\n",
    "ce-ext:  x \r\n",
    "ce-constructor: x\r\n",
    "ce-data: x\r\n",
    "ce-time: yesterday\r\n",
    "ce-time: 2024-02-30T00:00:00Z\r\n",
    "ce-datacontenttype: text/plain\r\n",
    "content-type: application/cloudevents+json\r\n",
    "Content-Type: text/plain\r\n",
    "content-type: text/plain\r\n",
    "ce-: x\r\n",
    "ce-bad_name: x\r\n",
    'ce-quoted: "x"\r\n',
    "ce-tab:\tx\r\n",
    "ce-empty: \r\n",
    "ce\r\n",
    "c:\r\n",
    "Nats-Batch-Id: a:b\r\n",
    "ce-specversion: 1.0\r\n",
  );
  fc.assert(
    fc.property(
      anyEvent,
      fc.array(oddLines, { maxLength: 3 }),
      fc.boolean(),
      (event, odd, first) => {
        const { headerLines, data } = encodeMessage(event);
        const lines = first ? odd.join("") + headerLines : headerLines + odd.join("");
        const block = Buffer.from(`NATS/1.0\r\n${lines}\r\n`);
        const stored = decodeStored(Buffer.concat([block, data]), block.byteLength);
        assert.deepEqual(stored, decodeMessage(parseHeaderBlock(block), data));
      },
    ),
    { numRuns: 2_000 },
  );
});

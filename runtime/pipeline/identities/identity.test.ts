import assert from "node:assert/strict";
import { test } from "node:test";
import { type CloudEvent, encodeMessage } from "../../events/index.ts";
import { peekIdentity as peek } from "./identity.ts";

const event: CloudEvent = {
  specversion: "1.0",
  id: "e 1 é",
  source: "/shops/12",
  type: "com.acme.placed",
  extensions: {},
  data: { n: 1 },
};
const peekIdentity = (block: Buffer | undefined, data: Uint8Array) =>
  peek(Buffer.concat([block ?? Buffer.alloc(0), data]), block?.byteLength ?? 0);
const block = (lines: string) => Buffer.from(`NATS/1.0\r\n${lines}\r\n`, "latin1");
const json = Buffer.from(
  JSON.stringify({ specversion: "1.0", id: "body", source: "/b", type: "t", data: 1 }),
);

test("binary mode is read from its headers, encoded or raw", () => {
  const { headerLines, data } = encodeMessage(event);
  assert.deepEqual(peekIdentity(block(headerLines), data), { id: event.id, source: event.source });
  const raw = block("ce-id: 7\r\nce-source: /a\r\nce-specversion: 1.0\r\nce-type: t\r\n");
  assert.deepEqual(peekIdentity(raw, data), { id: "7", source: "/a" });
});

test("other spellings of the header names take the long way to the same identity", () => {
  const lines = "CE-Id: 7\r\nCe-Source:/a\r\nce-specversion: 1.0\r\nce-type: t\r\n";
  const found = peekIdentity(block(lines), Buffer.from("{}"));
  assert.deepEqual([found?.id, found?.source], ["7", "/a"]);
});

test("in structured mode the envelope counts, although headers name somebody else", () => {
  for (const type of [
    "application/cloudevents+json",
    "Application/CloudEvents+JSON; charset=utf-8",
  ]) {
    const found = peekIdentity(
      block(`ce-id: forged\r\nce-source: /x\r\ncontent-type: ${type}\r\n`),
      json,
    );
    assert.deepEqual([found?.id, found?.source], ["body", "/b"]);
  }
  assert.equal(peekIdentity(undefined, json)?.id, "body");
});

test("a message that is no event has no identity", () => {
  assert.equal(peekIdentity(undefined, Buffer.from("garbage")), undefined);
  assert.equal(peekIdentity(block("content-type: text/plain\r\n"), Buffer.from("x")), undefined);
});

test("blanks around a value are no part of it, as when the event is decoded", () => {
  for (const id of [" 7", "7 ", "\t 7\t", " 7"]) {
    const lines = `ce-id: ${id}\r\nce-source: /a \r\nce-specversion: 1.0\r\nce-type: t\r\n`;
    assert.deepEqual(peekIdentity(block(lines), Buffer.from("1")), { id: "7", source: "/a" });
  }
});

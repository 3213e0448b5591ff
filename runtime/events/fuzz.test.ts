import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { decodeMessage, decodeStored, parseHeaderBlock } from "./index.ts";
import { anyMessage } from "./message-arbitraries.ts";

test("P4: no message makes decoding throw or pollutes a prototype, and both ways of decoding agree", () => {
  const pristine = Object.getOwnPropertyNames(Object.prototype).join();
  fc.assert(
    fc.property(anyMessage("com.acme.fuzz"), ({ headers, data }) => {
      const block = Buffer.from(headers ?? "", "latin1");
      const fields = headers === undefined ? undefined : parseHeaderBlock(block);
      const decoded = decodeMessage(fields, data);
      const stored = decodeStored(Buffer.concat([block, data]), block.byteLength);
      assert.equal(stored.ok, decoded.ok);
      if (!decoded.ok || !stored.ok) return;
      assert.deepEqual(stored.event, decoded.event);
      assert.equal(Object.getPrototypeOf(stored.event), Object.prototype);
      assert.equal(Object.getPrototypeOf(stored.event.extensions), Object.prototype);
      assert.ok(hasPlainPrototypes(stored.event.data));
      assert.equal(Reflect.get({}, "polluted"), undefined);
      assert.equal(Object.getOwnPropertyNames(Object.prototype).join(), pristine);
    }),
    { numRuns: 2_000 },
  );
});

function hasPlainPrototypes(value: unknown): boolean {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return true;
  const prototype: unknown = Object.getPrototypeOf(value);
  const plain = [Object.prototype, Array.prototype, Date.prototype, null].includes(
    prototype as null,
  );
  return plain && Object.values(value).every(hasPlainPrototypes);
}

import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually } from "./eventually.ts";

test("it returns the first truthy value, whatever was thrown before", async () => {
  let calls = 0;
  const value = await eventually(async () => {
    calls += 1;
    if (calls === 1) throw new Error("not yet");
    return calls === 3 ? "third" : undefined;
  });
  assert.equal(value, "third");
});

test("after the deadline it fails with what it last saw: the value, or the error as the cause", async () => {
  const options = { timeoutMs: 10, what: "the count" };
  await assert.rejects(
    eventually(() => 0, options),
    /the count did not come true within 10 ms; it last returned 0/,
  );
  const cause = new Error("stream not found");
  const failing = () => Promise.reject(cause);
  await assert.rejects(eventually(failing, options), { message: /stream not found/, cause });
});

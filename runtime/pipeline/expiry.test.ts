import assert from "node:assert/strict";
import { test } from "node:test";
import { type HandlerOptions, parseDuration } from "../authoring/index.ts";
import type { CloudEvent } from "../events/index.ts";
import { expiryOf } from "./expiry.ts";

const storedMs = Date.UTC(2026, 10, 24, 12);
const at = (ms: number) => new Date(ms).toISOString();
const policyOf = (
  options: HandlerOptions,
  more: { time?: string; expirytime?: string | number },
  nowMs: number,
) => {
  const { time, expirytime } = more;
  const event: CloudEvent = {
    specversion: "1.0",
    id: "1",
    source: "/test",
    type: "t",
    ...(time === undefined ? {} : { time }),
    extensions: expirytime === undefined ? {} : { expirytime },
    data: undefined,
  };
  return expiryOf(event, storedMs, parseDuration(options.maxAge), nowMs);
};

test("age counts from the event's time, else from when it was stored", () => {
  const tenMinutes = { maxAge: "10m" } as const;
  assert.equal(policyOf(tenMinutes, {}, storedMs + 600_000), undefined);
  assert.equal(policyOf(tenMinutes, {}, storedMs + 600_001), "maxAge");
  assert.equal(
    policyOf(tenMinutes, { time: at(storedMs - 300_000) }, storedMs + 300_001),
    "maxAge",
  );
  assert.equal(policyOf({}, { time: at(0) }, storedMs), undefined);
});

test("E2: a producer whose clock is ahead cannot make an event younger than its storage", () => {
  const time = at(storedMs + 86_400_000);
  assert.equal(policyOf({ maxAge: "10m" }, { time }, storedMs), undefined);
  assert.equal(policyOf({ maxAge: "10m" }, { time }, storedMs + 600_001), "maxAge");
});

test("expirytime is the event's own, and reads with any offset", () => {
  const expirytime = "2026-11-24T13:00:00.5+01:00"; // half a second after storedMs
  assert.equal(policyOf({}, { expirytime }, storedMs + 500), undefined);
  assert.equal(policyOf({}, { expirytime }, storedMs + 501), "expirytime");
  assert.equal(policyOf({ maxAge: "10m" }, { expirytime }, storedMs + 501), "expirytime");
});

test("E1: an expirytime that is no timestamp expires nothing", () => {
  for (const expirytime of ["", "soon", "2026-02-30T00:00:00Z", "2020-01-01", "0", 0, 1]) {
    assert.equal(policyOf({}, { expirytime }, storedMs + 1e12), undefined, String(expirytime));
  }
});

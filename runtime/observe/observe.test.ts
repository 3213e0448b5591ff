import assert from "node:assert/strict";
import { test } from "node:test";
import { EddyError } from "../events/index.ts";
import type { Fact } from "../pipeline/index.ts";
import {
  createLogger,
  createMetrics,
  type LogOptions,
  logFacts,
  logModules,
  printable,
  printableLines,
} from "./index.ts";

const esc = String.fromCharCode(27);
const event = { type: "com.acme.order.placed", source: "/shops/12", id: `e-1${esc}[2J` };
const position = { stream: "EVENTS", seq: 17 };
const who = { handler: "orders/credit.reserve", version: "1a2b3c4d" };
const handled: Fact = {
  kind: "outcome",
  ...who,
  outcome: "handled",
  event,
  position,
  attempt: 1,
  effects: 2,
  ms: 3.0951,
};
const dead: Fact = { ...handled, outcome: "dead", reason: "attempts", attempt: 6, effects: 0 };

function logged(options: LogOptions, write: (log: ReturnType<typeof createLogger>) => void) {
  let text = "";
  write(createLogger(options, { write: (more) => (text += more) }));
  return text;
}

test("a line for an event names handler, version, event and position, as fields and in words", () => {
  const text = logged({ level: "info", format: "json" }, (log) => logFacts(log, "info")(handled));
  const { time, msg, ...line } = JSON.parse(text);
  assert.ok(!Number.isNaN(Date.parse(time)));
  assert.deepEqual(line, {
    level: "info",
    ...who,
    outcome: "handled",
    ...event,
    ...position,
    attempt: 1,
    effects: 2,
    ms: 3.1,
  });
  assert.match(msg, /handled: com\.acme\.order\.placed .* by orders\/credit\.reserve@1a2b3c4d/);
});

test("events that went well are debug in production, dead ones are always an error", () => {
  const text = logged({ level: "info", format: "json" }, (log) => {
    const report = logFacts(log, "debug");
    report(handled);
    report(dead);
  });
  const line = JSON.parse(text);
  assert.equal(line.level, "error");
  assert.equal(line.reason, "attempts");
});

test("every kind of fact is one line that JSON can hold", () => {
  const facts: Fact[] = [
    handled,
    dead,
    { kind: "retry", ...who, event, position, attempt: 1, due: new Date(0), error: "a\nb" },
    { kind: "handler", ...who, state: "standby", detail: "another instance has the ledger" },
    { kind: "commit", stream: "EVENTS", messages: 3, bytes: 900, ms: 2 },
    { kind: "log", level: "warn", ...who, event, message: "careful", facts: { n: 1 } },
    { kind: "trouble", code: "EDDY_X", about: "EVENTS", message: "gone" },
    { kind: "mended", code: "EDDY_X", about: "EVENTS", message: "back" },
  ];
  const text = logged({ level: "debug", format: "json" }, (log) =>
    facts.forEach(logFacts(log, "info")),
  );
  const lines = text
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  assert.deepEqual(
    lines.map(({ level }) => level),
    ["info", "error", "warn", "warn", "debug", "warn", "error", "info"],
  );
  assert.deepEqual(lines[5].facts, { n: 1 });
});

test("for people a line is a sentence, and nothing from outside reaches the terminal raw", () => {
  const text = logged({ level: "info", format: "pretty" }, (log) => {
    const report = logFacts(log, "info");
    report(handled);
    report({
      kind: "log",
      level: "info",
      ...who,
      event,
      message: `a${esc}[31m\nb`,
      facts: { x: `${esc}` },
    });
  });
  assert.ok(!text.includes(esc));
  assert.match(text, /^\[[\d:.]+\] INFO: handled: com\.acme/);
  assert.match(text, /a\\u001b\[31m\\nb\n {4}\{"x":"\\u001b"\}/);
});

test("a failed module shows its code frame to people and keeps it as a field for machines", () => {
  const frame = "  3 | nonsense(\n    |         ^";
  const failure = {
    module: "orders",
    code: "EDDY_HANDLER_COMPILE",
    message: "unexpected end",
    file: "handlers/orders/credit.ts",
    line: 3,
    column: 9,
    frame,
  };
  const write = (log: ReturnType<typeof createLogger>) =>
    logModules(log)({ kind: "failed", failure, running: "1a2b3c4d" });
  const json = JSON.parse(logged({ level: "info", format: "json" }, write));
  assert.equal(json.frame, frame);
  assert.equal(json.line, 3);
  const text = logged({ level: "info", format: "pretty" }, write);
  assert.match(text, /handlers\/orders\/credit\.ts:3:9: unexpected end\. Version 1a2b3c4d runs on/);
  assert.match(text, /\n {6}3 \| nonsense\(\n/);
});

test("an error in a log line keeps its stack", () => {
  const text = logged({ level: "info", format: "pretty" }, (log) => {
    log.error({ err: new EddyError("EDDY_X", "broke") }, "it broke");
  });
  assert.match(text, /it broke\n {4}EddyError: broke\n.*at /);
});

test("metrics count outcomes, retries, batches and show gauges that are read when asked", async () => {
  const metrics = createMetrics(() => ({
    handlers: [{ handler: who.handler, lag: 5, inFlight: 2 }],
    identities: 99,
    identitiesLeft: 7,
  }));
  metrics.report(handled);
  metrics.report(handled);
  metrics.report(dead);
  metrics.report({ ...handled, outcome: "filtered" });
  metrics.report({
    kind: "retry",
    ...who,
    event: undefined,
    position,
    attempt: 1,
    due: new Date(),
    error: "x",
  });
  metrics.report({ kind: "commit", stream: "EVENTS", messages: 3, bytes: 900, ms: 2 });
  const text = await metrics.text();
  const value = (start: string) => text.split("\n").find((line) => line.startsWith(start));
  const label = `handler="${who.handler}"`;
  assert.equal(value(`eddy_events_total{${label},outcome="handled"`)?.split(" ")[1], "2");
  assert.equal(value(`eddy_events_total{${label},outcome="dead"`)?.split(" ")[1], "1");
  assert.equal(value(`eddy_events_total{${label},outcome="filtered"`)?.split(" ")[1], "1");
  assert.equal(value(`eddy_events_total{${label},outcome="expired"`)?.split(" ")[1], "0");
  assert.equal(value(`eddy_handle_seconds_count{${label}}`)?.split(" ")[1], "4");
  assert.equal(value(`eddy_handle_seconds_bucket{le="+Inf",${label}}`)?.split(" ")[1], "4");
  assert.equal(value(`eddy_retries_total{${label}`)?.split(" ")[1], "1");
  assert.equal(value(`eddy_lag_events{${label}`)?.split(" ")[1], "5");
  assert.equal(value("eddy_identities ")?.split(" ")[1], "99");
  assert.equal(value("eddy_identities_left ")?.split(" ")[1], "7");
  assert.equal(value('eddy_commit_bytes_total{stream="EVENTS"')?.split(" ")[1], "900");
  assert.ok(!text.includes("order.placed"), "text of events is no label");
  assert.ok(value("process_cpu_seconds_total"));
});

test("metrics answer while the gauges cannot be read", async () => {
  const metrics = createMetrics(() => {
    throw new Error("not connected");
  });
  metrics.report(handled);
  const text = await metrics.text();
  assert.match(text, /eddy_events_total/);
  assert.doesNotMatch(text, /^eddy_identities /m);
});

test("what moves a cursor, colours or reorders text becomes an escape", () => {
  assert.equal(
    printable(`a${esc}[31m\r\n\t\u202e\u0085é😀`),
    "a\\u001b[31m\\r\\n\\t\\u202e\\u0085é😀",
  );
  assert.equal(printable("\ud800"), "\\ud800");
  assert.equal(printableLines(`a\r\n\tb${esc}`), "a\n\tb\\u001b");
});

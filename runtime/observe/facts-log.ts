// One line of log for each fact that the pipeline reports. Fields are for machines, the sentence is for people.
import { nameOf } from "../events/index.ts";
import type { EventName, Fact, Report } from "../pipeline/index.ts";
import type { Logger } from "./logger.ts";
import { counted } from "./printable.ts";

type Of<Kind extends Fact["kind"]> = Extract<Fact, { kind: Kind }>;

/** `handledAt`: the level for events that went well; a person who develops wants to see each of them. */
export function logFacts(logger: Logger, handledAt: "info" | "debug"): Report {
  return (fact) => {
    switch (fact.kind) {
      case "outcome":
        return logOutcome(logger, fact, handledAt);
      case "retry":
        return logRetry(logger, fact);
      case "enrich":
        return; // counted; a line for each would say no more
      case "key":
        return logKey(logger, fact);
      case "handler":
        return logHandler(logger, fact);
      case "commit":
        return logCommit(logger, fact);
      case "log":
        return logOwnLine(logger, fact);
      case "trouble":
      case "mended":
        return logTrouble(logger, fact);
    }
  };
}

function logOutcome(logger: Logger, fact: Of<"outcome">, handledAt: "info" | "debug"): void {
  const level = fact.outcome === "dead" ? "error" : handledAt;
  if (!logger.isLevelEnabled(level)) return; // called for every event
  const { handler, version, outcome, reason, event, position, attempt, effects } = fact;
  const ms = Math.round(fact.ms * 10) / 10;
  const where = `${position.stream} ${position.seq}`;
  const who = `${handler}@${version}`;
  const sentence =
    outcome === "dead"
      ? `dead: ${named(event)} for ${who} (${where}): ${reason}. See: eddy dead list`
      : outcome === "expired"
        ? `expired: ${reason} (${where})`
        : `${outcome}: ${named(event)} by ${who} in ${ms} ms (${counted(effects, "effect")}, attempt ${attempt}, ${where})`;
  const fields = {
    handler,
    version,
    outcome,
    reason,
    ...nameOnly(event),
    ...position,
    attempt,
    effects,
    ms,
  };
  logger[level](fields, sentence);
}

function logRetry(logger: Logger, fact: Of<"retry">): void {
  const { handler, version, event, position, attempt, due, error } = fact;
  const fields = { handler, version, ...nameOnly(event), ...position, attempt, due, error };
  const next = due.toISOString().slice(11, 19);
  logger.warn(
    fields,
    `attempt ${attempt} of ${handler}@${version} at ${named(event)} failed: ${error}. Next attempt at ${next} UTC`,
  );
}

function logKey(logger: Logger, { handler, key, state, position }: Of<"key">): void {
  const level = state === "dead" ? "error" : "debug";
  if (!logger.isLevelEnabled(level)) return;
  const by = position === undefined ? "" : ` by ${position.stream} ${position.seq}`;
  const what = {
    waiting: `is held${by}, which waits for a retry`,
    dead: `is held${by}, which is dead. See: eddy lanes`,
    draining: "goes on with what was parked",
    free: "is free",
  }[state];
  const text = `key ${JSON.stringify(key.slice(0, 100))} of ${handler} ${what}`;
  logger[level]({ handler, key, state, ...position }, text);
}

function logHandler(logger: Logger, { handler, version, state, detail }: Of<"handler">): void {
  const why = detail === undefined ? "" : `: ${detail}`;
  const level = state === "standby" ? "warn" : state === "starting" ? "debug" : "info";
  logger[level]({ handler, version, state, detail }, `${handler}@${version} is ${state}${why}`);
}

function logCommit(logger: Logger, { stream, messages, bytes, ms }: Of<"commit">): void {
  if (!logger.isLevelEnabled("debug")) return;
  const text = `stored ${counted(messages, "message")} in ${stream} in one batch, ${ms.toFixed(1)} ms`;
  logger.debug({ stream, messages, bytes, ms }, text);
}

function logOwnLine(logger: Logger, fact: Of<"log">): void {
  if (!logger.isLevelEnabled(fact.level)) return;
  const { handler, version, event, message, facts } = fact;
  const own = Object.keys(facts).length === 0 ? {} : { facts };
  logger[fact.level](
    { handler, version, ...nameOnly(event), ...own },
    `${handler}@${version}: ${message}`,
  );
}

function logTrouble(logger: Logger, { kind, code, about, message }: Of<"trouble" | "mended">) {
  const level = kind === "mended" ? "info" : "error";
  logger[level](
    { code, about, mended: kind === "mended" },
    `${kind === "mended" ? "mended: " : ""}${code} ${about}: ${message}`,
  );
}

// It may be the event itself, whose data is nobody's business.
function nameOnly(event: EventName | undefined): Partial<EventName> {
  return event === undefined ? {} : { type: event.type, source: event.source, id: event.id };
}

function named(event: EventName | undefined): string {
  return event === undefined ? "a message that is no event" : nameOf(event);
}

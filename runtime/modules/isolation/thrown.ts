// What was thrown, as data and back: its class where that says how the event goes on, its text, its stack. Pure.
import { Permanent, RetryAfter } from "../../authoring/index.ts";
import { describeThrown, EddyError, type ErrorFacts } from "../../events/index.ts";

interface WireText {
  readonly name: string;
  readonly message: string;
  readonly stack?: string;
  readonly cause?: WireError;
}

export type WireError = WireText &
  (
    | { readonly kind: "plain" | "permanent" | "value" }
    | { readonly kind: "later"; readonly atMs: number }
    | { readonly kind: "eddy"; readonly code: string; readonly facts: ErrorFacts }
  );

const causesMax = 3;

/** Throws for nothing, whatever it is given. */
export function toWire(thrown: unknown, depth = 0): WireError {
  const { name, message, stack } = describeThrown(thrown);
  const text: WireText = { name, message, ...(stack === undefined ? {} : { stack }) };
  try {
    if (!(thrown instanceof Error)) return { ...text, kind: "value" };
    const cause =
      thrown.cause === undefined || depth === causesMax
        ? {}
        : { cause: toWire(thrown.cause, depth + 1) };
    const common = { ...text, ...cause };
    if (thrown instanceof Permanent) return { ...common, kind: "permanent" };
    if (thrown instanceof RetryAfter) {
      return { ...common, kind: "later", atMs: thrown.at.getTime() };
    }
    if (thrown instanceof EddyError) {
      return { ...common, kind: "eddy", code: thrown.code, facts: { ...thrown.facts } };
    }
    return { ...common, kind: "plain" };
  } catch {
    return { ...text, kind: "plain" }; // a getter or a proxy of theirs
  }
}

export function fromWire(wire: WireError): Error {
  const options = wire.cause === undefined ? {} : { cause: fromWire(wire.cause) };
  const error = revived(wire, options);
  // As it was, also where a handler has renamed it. A stack of this thread would name the runtime's own files.
  const show = { enumerable: false, configurable: true, writable: true };
  Object.defineProperty(error, "stack", { ...show, value: wire.stack });
  if (error.name !== wire.name && wire.kind !== "value") {
    Object.defineProperty(error, "name", { ...show, value: wire.name });
  }
  return error;
}

function revived(wire: WireError, options: ErrorOptions): Error {
  switch (wire.kind) {
    case "permanent":
      return new Permanent(wire.message, options);
    case "later":
      return new RetryAfter(new Date(wire.atMs), wire.message, options);
    case "eddy":
      return new EddyError(wire.code, wire.message, wire.facts, options);
    case "plain":
    case "value":
      return new Error(wire.message, options);
  }
}

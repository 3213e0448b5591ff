// The one error type of the runtime: a short letter to the person on call. Owns its shape, not the texts.
// A bug is an assertion error, never one of these.

/** Facts about an error as fields, so that nobody parses its text. */
export type ErrorFacts = Readonly<Record<string, string | number | boolean | undefined>>;

/**
 * Something that a user or operator can cause and mend. `code` is stable (`EDDY_…`, listed in
 * `docs/errors.md`); `message` says what happened, to what, what happens now and what to do.
 */
export class EddyError extends Error {
  override readonly name: string = "EddyError";
  readonly code: string;
  readonly facts: ErrorFacts;

  constructor(code: string, message: string, facts: ErrorFacts = {}, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.facts = facts;
  }
}

/**
 * An error about input: it has no stack, because where the runtime noticed it helps nobody, and to find that out
 * costs more than all else that is done with a message that is no event.
 */
export function inputError(code: string, message: string, facts: ErrorFacts = {}): EddyError {
  const before = Error.stackTraceLimit;
  Error.stackTraceLimit = 0;
  const error = new EddyError(code, message, facts);
  Error.stackTraceLimit = before;
  delete error.stack;
  return error;
}

/** The text of anything that was thrown: handlers may throw strings, undefined or worse. Throws for nothing. */
export function describeThrown(thrown: unknown): {
  name: string;
  message: string;
  stack?: string;
  code?: string;
} {
  try {
    if (thrown instanceof Error) {
      const code = thrown instanceof EddyError ? { code: thrown.code } : {};
      const stack = typeof thrown.stack === "string" ? { stack: thrown.stack } : {};
      return { name: String(thrown.name), message: String(thrown.message), ...stack, ...code };
    }
  } catch {
    // A getter or a proxy of theirs threw; what is left to say is said below.
  }
  return { name: "NonError", message: `threw ${printable(thrown)}, which is not an Error` };
}

/** Any value as text for a message. Throws for nothing. */
export function printable(value: unknown): string {
  try {
    return JSON.stringify(value) ?? String(value);
  } catch {
    return typeof value === "object" ? "an object that cannot be shown" : typeof value;
  }
}

// Every error that leaves over HTTP: a problem document (RFC 9457) with the runtime's own code.
// The one table of codes, their status and title. Nothing in it but texts meant for others: no stack, no cause.
import type { Context } from "hono";
import type { Fault } from "../events/index.ts";

interface Kind {
  readonly status:
    | 400
    | 401
    | 404
    | 405
    | 408
    | 410
    | 413
    | 415
    | 422
    | 431
    | 500
    | 409
    | 503
    | 504
    | 507;
  readonly title: string;
}

const kinds = {
  EDDY_EVENT_MALFORMED: { status: 400, title: "The request holds no event" },
  EDDY_EVENT_ATTRIBUTE: { status: 400, title: "An attribute of the event is not legal" },
  EDDY_EVENT_TOO_LARGE: { status: 413, title: "The event is too large" },
  EDDY_EVENT_CONTENT_TYPE: { status: 415, title: "The content type is not understood" },
  EDDY_EVENT_DATA: { status: 422, title: "The event's data does not decode" },
  EDDY_EVENT_TOO_DEEP: { status: 422, title: "The event is nested too deep" },
  EDDY_WEBHOOK_SIGNATURE: { status: 401, title: "The delivery is not signed as it should be" },
  EDDY_PROJECTION_UNKNOWN: { status: 404, title: "There is no such projection" },
  EDDY_ENTRY_UNKNOWN: { status: 404, title: "The projection has no such entry" },
  EDDY_PROJECTION_BEHIND: { status: 504, title: "The projection has not got there in time" },
  EDDY_PROJECTION_LACKS: { status: 409, title: "The projection lacks that event" },
  EDDY_PROJECTION_INPUT: { status: 400, title: "The projection does not read that stream" },
  EDDY_PAST_BEFORE: { status: 404, title: "That was before all that happened" },
  EDDY_PAST_BUSY: { status: 503, title: "The node looks at as much of the past as it can" },
  EDDY_PAST_CODE: { status: 404, title: "The node has no code of that projection" },
  EDDY_PAST_CUT: { status: 410, title: "The log does not go back far enough" },
  EDDY_PAST_ORDER: { status: 400, title: "The first moment is behind the second" },
  EDDY_PAST_TIMEOUT: { status: 504, title: "The past was not read in time" },
  EDDY_PAST_TOO_LARGE: { status: 422, title: "Too much changed to be compared at once" },
  EDDY_INDEX_UNKNOWN: { status: 400, title: "The projection has no such index" },
  EDDY_INDEX_INCOMPLETE: { status: 409, title: "The index does not have all entries yet" },
  EDDY_ENTRY_UNREADABLE: { status: 500, title: "The entry cannot be read" },
  EDDY_LEDGER_UNREADABLE: { status: 503, title: "How far the projection is cannot be read" },
  EDDY_NOT_CONNECTED: { status: 503, title: "NATS cannot be reached" },
  EDDY_NOT_READY: { status: 503, title: "The node is not ready" },
  EDDY_READ_FAILED: { status: 503, title: "The server did not give what was asked for" },
  EDDY_STORE_TIMEOUT: { status: 503, title: "The home stream gave no answer" },
  EDDY_STORE_REFUSED: { status: 503, title: "The home stream refused" },
  EDDY_HOME_MISSING: { status: 503, title: "The home stream is not there" },
  EDDY_STREAM_MISSING: { status: 503, title: "A stream that is read is not there" },
  EDDY_HOME_FULL: { status: 507, title: "The home stream is full" },
  EDDY_OBJECTS_FULL: { status: 507, title: "There is no room for large data" },
  EDDY_OBJECT_NOT_STORED: { status: 503, title: "The large data was not stored" },
  EDDY_HTTP_BUSY: { status: 503, title: "The node watches as much as it can" },
  EDDY_HTTP_QUERY: { status: 400, title: "A query parameter is not legal" },
  EDDY_HTTP_MALFORMED: { status: 400, title: "The request is no HTTP" },
  EDDY_HTTP_CUT: { status: 400, title: "The request ended early" },
  EDDY_HTTP_NOT_FOUND: { status: 404, title: "There is nothing here" },
  EDDY_HTTP_METHOD: { status: 405, title: "The method is not allowed" },
  EDDY_HTTP_TIMEOUT: { status: 408, title: "The request took too long" },
  EDDY_HTTP_BODY_TOO_LARGE: { status: 413, title: "The body is too large" },
  EDDY_HTTP_ENCODING: { status: 415, title: "The content encoding is not understood" },
  EDDY_HTTP_HEADERS_TOO_LARGE: { status: 431, title: "The headers are too large" },
  EDDY_INTERNAL: { status: 500, title: "Something is wrong in the runtime" },
} as const satisfies Readonly<Record<string, Kind>>;

export type ProblemCode = keyof typeof kinds;

/** What a problem says besides its kind. */
export interface ProblemFacts {
  readonly attribute?: string;
  /** Of the event in a batch. */
  readonly index?: number;
  readonly reasons?: readonly string[];
}

export const problemType = "application/problem+json";

export function isProblemCode(code: string): code is ProblemCode {
  return Object.hasOwn(kinds, code);
}

/** The document and its status. */
export function problemOf(code: ProblemCode, detail: string, facts: ProblemFacts = {}) {
  const { status, title } = kinds[code];
  const type = `urn:eddyline:problem:${code}`;
  return { status, body: JSON.stringify({ type, title, status, detail, code, ...facts }) };
}

/** The response for a problem. */
export function problem(
  context: Context,
  code: ProblemCode,
  detail: string,
  facts: ProblemFacts & { readonly headers?: Readonly<Record<string, string>> } = {},
): Response {
  const { headers = {}, ...said } = facts;
  const { status, body } = problemOf(code, detail, said);
  const later: Record<string, string> = status === 503 ? { "retry-after": "1" } : {};
  return context.body(body, status, { "content-type": problemType, ...later, ...headers });
}

/** The response for a request whose event is at fault. */
export function faultProblem(context: Context, fault: Fault, index?: number): Response {
  const { code, message, attribute } = fault;
  return problem(context, code, message, {
    ...(attribute === undefined ? {} : { attribute }),
    ...(index === undefined ? {} : { index }),
  });
}

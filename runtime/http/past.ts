// The past of projections: an entry at a moment (`?at=`), its history (`?history=true`), and what changed between two moments
// (`?from=…&to=…` of the projection itself). Queries, so that no key is in their way: a key may be called anything.
// A1 A question ends with its client, with the node, and with its deadline: then nothing reads the log any more.
import type { Context, MiddlewareHandler } from "hono";
import { EddyError, positionText } from "../events/index.ts";
import { parseWhen } from "../pipeline/index.ts";
import type { Past } from "../projections/index.ts";
import type { HttpPorts } from "./ports.ts";
import { problem } from "./problem.ts";

const deadlineMs = 25_000; // what stands between often gives up after 30 s
const limitDefault = 100;
const limitMax = 1_000;
const fresh = { "cache-control": "no-store" };

/** Both leave requests that do not ask for the past to the next route. */
export function pastRoutes({ past, closing }: HttpPorts): {
  readonly entry: MiddlewareHandler;
  readonly between: MiddlewareHandler;
} {
  if (past === undefined) return { entry: (_, next) => next(), between: (_, next) => next() };
  return { entry: entryRoute(past, closing), between: betweenRoute(past, closing) };
}

function entryRoute(past: () => Past, closing: AbortSignal): MiddlewareHandler {
  return async (context, next) => {
    const { at, history, limit } = context.req.query();
    if (at === undefined && history === undefined) return await next();
    if (history !== undefined && history !== "true")
      return query(context, `history must be true, got ${shown(history)}`);
    if (at !== undefined && history !== undefined)
      return query(context, "ask for at or for history, not for both");
    const other = ["after", "wait"].find((name) => context.req.query(name) !== undefined);
    if (other !== undefined)
      return query(context, `${other} is for reading the present, not with at or history`);
    if (at !== undefined) return await answerAt(context, past(), closing, at);
    const most = limitOf(limit);
    if (most === undefined) return query(context, limitText(limit));
    const { name, key } = entryOf(context);
    const { older, rows, ...moment } = await inTime(context, closing, (signal) =>
      past().history(name, key, most, signal),
    );
    return context.json(
      { key, position: positionText(moment.at), older, events: rows },
      200,
      fresh,
    );
  };
}

async function answerAt(
  context: Context,
  past: Past,
  closing: AbortSignal,
  asked: string,
): Promise<Response> {
  const { name, key } = entryOf(context);
  const when = parseWhen(asked, past.streams(name), Date.now());
  if (typeof when === "string") return query(context, `at ${when}`);
  const then = await inTime(context, closing, (signal) => past.at(name, key, when, signal));
  const position = positionText(then.at);
  const headers = { ...fresh, "eddy-position": position, "eddy-present": `${then.present}` };
  if (then.value !== undefined) return context.json(then.value as object, 200, headers);
  const why = then.by === undefined ? "no event had made one" : `${then.by} had removed it`;
  const detail = `projection ${shown(name)} had no entry ${shown(key)} at ${position}: ${why}`;
  return problem(context, "EDDY_ENTRY_UNKNOWN", detail, { headers });
}

function betweenRoute(past: () => Past, closing: AbortSignal): MiddlewareHandler {
  return async (context, next) => {
    const { from: begin, to: end, limit, after } = context.req.query();
    if (begin === undefined && end === undefined) return await next();
    if (begin === undefined) return query(context, "to needs a from: from=…&to=…");
    const most = limitOf(limit);
    if (most === undefined) return query(context, limitText(limit));
    const reader = past();
    const name = context.req.param("name") ?? "";
    const streams = reader.streams(name);
    const nowMs = Date.now();
    const from = parseWhen(begin, streams, nowMs);
    if (typeof from === "string") return query(context, `from ${from}`);
    const to = parseWhen(end ?? "0ms", streams, nowMs);
    if (typeof to === "string") return query(context, `to ${to}`);
    const page = { limit: most, ...(after === undefined ? {} : { after }) };
    const found = await inTime(context, closing, (signal) =>
      reader.between(name, from, to, page, signal),
    );
    const told = { ...found, from: positionText(found.from), to: positionText(found.to) };
    return context.json(told, 200, fresh);
  };
}

/** Works until the client goes away, the node stops, or the time is over. */
async function inTime<T>(
  { req }: Context,
  closing: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const stop = new AbortController();
  const gone = () => stop.abort(new EddyError("EDDY_HTTP_CUT", "the client has gone away"));
  const stopped = () => stop.abort(new EddyError("EDDY_NOT_READY", "the node stops"));
  const timer = setTimeout(() => stop.abort(late()), deadlineMs);
  const { signal: client } = req.raw;
  if (closing.aborted) stopped();
  if (client.aborted) gone();
  client.addEventListener("abort", gone);
  closing.addEventListener("abort", stopped);
  try {
    return await work(stop.signal);
  } finally {
    clearTimeout(timer);
    client.removeEventListener("abort", gone);
    closing.removeEventListener("abort", stopped);
  }
}

function late(): EddyError {
  const text =
    `the past was not read within ${deadlineMs / 1_000} s: the log is long, or the node is busy. ` +
    "Ask for an earlier moment or a shorter stretch, or with the command, which has no limit: eddy projection get --at";
  return new EddyError("EDDY_PAST_TIMEOUT", text);
}

function entryOf({ req }: Context): { readonly name: string; readonly key: string } {
  return { name: req.param("name") ?? "", key: req.param("key") ?? "" };
}

function query(context: Context, detail: string): Response {
  return problem(context, "EDDY_HTTP_QUERY", detail);
}

function limitText(asked: string | undefined): string {
  return `limit must be a whole number from 1 to ${limitMax}, got ${shown(asked ?? "")}`;
}

function limitOf(text = String(limitDefault)): number | undefined {
  const limit = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  return limit >= 1 && limit <= limitMax ? limit : undefined;
}

function shown(text: string): string {
  return JSON.stringify(text.length > 100 ? `${text.slice(0, 97)}...` : text);
}

// What requests that carry a body have in common: its bound, its encoding, its headers as they were sent.
import type { HttpBindings } from "@hono/node-server";
import { type Context, Hono, type MiddlewareHandler } from "hono";
import { bodyLimit } from "hono/body-limit";
import { problem } from "./problem.ts";

/** Node's own request and response, where a real server is in front. */
export type Env = { Bindings: Partial<HttpBindings> };
export type App = Hono<Env>;

export function newApp(): App {
  return new Hono<Env>();
}

/** Refuses a body that is too large, while it is read, with or without a content length. */
export function bounded(bytesMax: number): MiddlewareHandler<Env> {
  return bodyLimit({
    maxSize: bytesMax,
    onError: (context) =>
      problem(
        context,
        "EDDY_HTTP_BODY_TOO_LARGE",
        `a body may have ${bytesMax} bytes (http.maxBodyBytes). Nothing was stored`,
        { headers: { connection: "close" } }, // the rest of the body is not waited for
      ),
  });
}

/** Refuses compressed bodies: stored as they are, nobody could read them. */
export const unencoded: MiddlewareHandler<Env> = async (context, next) => {
  const encoding = context.req.header("content-encoding");
  if (encoding === undefined || encoding.toLowerCase() === "identity") return next();
  const detail = `content-encoding ${JSON.stringify(encoding)} is not understood; send the body as it is`;
  return problem(context, "EDDY_HTTP_ENCODING", detail, {
    headers: { "accept-encoding": "identity" },
  });
};

/** A pair for each header line, in latin-1. The web's Headers would join what was given twice. */
export function headerPairs(context: Context<Env>): Iterable<readonly [string, string]> {
  const lines = context.env?.incoming?.rawHeaders;
  if (lines === undefined) return context.req.raw.headers;
  return lines.flatMap((name, at) => (at % 2 === 0 ? [[name, lines[at + 1] ?? ""] as const] : []));
}

/** For all methods that a path does not have. */
export function onlyAllows(allow: string): (context: Context) => Response {
  return (context) =>
    problem(context, "EDDY_HTTP_METHOD", `${context.req.path} takes ${allow}`, {
      headers: { allow },
    });
}

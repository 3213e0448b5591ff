// Pages of other origins in a browser (CORS, the Fetch standard): what they may do, and which headers they may read. It keeps no
// other client out: that is what a proxy in front is for.
import type { MiddlewareHandler } from "hono";
import { cors } from "hono/cors";
import type { Env } from "./request.ts";

const preflightAgeS = 600;

export function crossOrigin(origins: readonly string[]): MiddlewareHandler<Env> {
  const allow = cors({
    origin: origins.includes("*") ? "*" : [...origins],
    allowMethods: ["GET", "HEAD", "POST"],
    exposeHeaders: ["eddy-position", "eddy-present", "eddy-staleness", "etag", "retry-after"],
    maxAge: preflightAgeS,
  });
  return (context, next) =>
    allow(context, async () => {
      // Answers that are written to Node's own response pass by Hono's.
      for (const [name, value] of context.res.headers)
        context.env?.outgoing?.setHeader(name, value);
      await next();
    });
}

// Pages of other origins in a browser (CORS, the Fetch standard): what they may do, and which headers they may read. It keeps no
// other client out: that is what a proxy in front is for.
import type { MiddlewareHandler } from "hono";
import { cors } from "hono/cors";

const preflightAgeS = 600;

export function crossOrigin(origins: readonly string[]): MiddlewareHandler {
  return cors({
    origin: origins.includes("*") ? "*" : [...origins],
    allowMethods: ["GET", "HEAD", "POST"],
    exposeHeaders: ["eddy-position", "eddy-staleness", "etag", "retry-after"],
    maxAge: preflightAgeS,
  });
}

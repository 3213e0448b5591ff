// GET /projections: what projections there are, their keys, their entries; after a position, where one is asked for.
import type { Context } from "hono";
import { parseDuration } from "../authoring/index.ts";
import { EddyError, parsePosition, positionText } from "../events/index.ts";
import type { ReadWait } from "../pipeline/index.ts";
import type { Reach } from "../projections/index.ts";
import { listRoute, shown } from "./listing.ts";
import { pastRoutes } from "./past.ts";
import type { HttpPorts } from "./ports.ts";
import { problem } from "./problem.ts";
import { type App, newApp, onlyAllows } from "./request.ts";
import { watchRoute } from "./watch.ts";

const waitMsDefault = 2_000;
const waitMsMax = 30_000;
const readable = "GET, HEAD";

const watchHint = ". To watch it, ask for text/event-stream in Accept";

export function projectionRoutes(ports: HttpPorts): App {
  const { projections } = ports;
  const app = newApp();
  app.get("/", async (context) => context.json({ projections: await projections.list() }));
  app.all("/", onlyAllows(readable));

  const past = pastRoutes(ports);
  app.get("/:name", past.between);
  app.get("/:name", listRoute(projections));
  app.all("/:name", onlyAllows(readable));

  app.get("/:name/watch", watchRoute(ports));

  // A key may hold slashes, encoded or as they are.
  app.get("/:name/:key{[\\s\\S]+}", past.entry);
  app.get("/:name/:key{[\\s\\S]+}", async (context) => {
    const { name, key } = context.req.param();
    const wait = waitOf(context);
    if (typeof wait === "string") return problem(context, "EDDY_HTTP_QUERY", wait);
    const reach = await untilReached(name, wait);
    if (reach instanceof EddyError) return notReached(context, reach);
    const told = toldOf(reach);
    const entry = await projections.get(name, key);
    if (entry === undefined) {
      if (reach === undefined && (await projections.keys(name, { limit: 1 })) === undefined) {
        return problem(
          context,
          "EDDY_PROJECTION_UNKNOWN",
          `there is no projection ${shown(name)}. See: GET /projections`,
        );
      }
      const detail = `projection ${shown(name)} has no entry ${shown(key)}${key === "watch" ? watchHint : ""}`;
      return problem(context, "EDDY_ENTRY_UNKNOWN", detail, { headers: told });
    }
    const etag = `"${entry.revision}"`;
    const headers = { etag, "cache-control": "no-cache", ...told };
    if (matches(context, etag)) return context.body(null, 304, headers);
    return context.json(entry.value as object, 200, headers);
  });
  app.all("/:name/:key{[\\s\\S]+}", onlyAllows(readable));

  async function untilReached(name: string, wait: ReadWait | undefined) {
    try {
      return await projections.reach(name, wait);
    } catch (error) {
      if (error instanceof EddyError && isReachCode(error.code)) return error;
      throw error;
    }
  }
  return app;
}

/** Undefined where nobody has to wait, a sentence where the query is not legal. */
function waitOf({ req }: Context): ReadWait | undefined | string {
  const [asked, wait] = [req.query("after"), req.query("wait")];
  if (asked === undefined) {
    return wait === undefined
      ? undefined
      : "wait says how long to wait for after=POSITION; add that";
  }
  const after = parsePosition(asked);
  if (after === undefined) {
    return `after must be a position as POST /events answers it, such as EVENTS:7, got ${shown(asked)}`;
  }
  const waitMs = wait === undefined ? waitMsDefault : parseDuration(wait);
  if (waitMs === undefined || waitMs > waitMsMax) {
    return `wait must be a duration of at most ${waitMsMax / 1_000} s such as 2s, got ${shown(wait ?? "")}`;
  }
  return { after, waitMs };
}

/** What a read reflects, as headers: the position, and the age in seconds of what it does not reflect yet. */
function toldOf(reach: Reach | undefined): Record<string, string> {
  if (reach === undefined) return {};
  const staleness = (reach.staleMs / 1_000).toFixed(3);
  return { "eddy-position": positionText(reach.at), "eddy-staleness": staleness };
}

const reachCodes = [
  "EDDY_PROJECTION_BEHIND",
  "EDDY_PROJECTION_LACKS",
  "EDDY_PROJECTION_INPUT",
] as const;

function isReachCode(code: string): code is (typeof reachCodes)[number] {
  return reachCodes.some((known) => known === code);
}

function notReached(context: Context, { code, message, facts }: EddyError): Response {
  const { position } = facts;
  const headers = typeof position === "string" ? { "eddy-position": position } : {};
  return problem(context, isReachCode(code) ? code : "EDDY_INTERNAL", message, { headers });
}

/** RFC 9110, section 13.1.2: a list of tags or `*`, compared weakly. */
function matches(context: Context, etag: string): boolean {
  const given = context.req.header("if-none-match") ?? "";
  return given.split(",").some((tag) => {
    const bare = tag.trim();
    return bare === "*" || bare.replace(/^W\//, "") === etag;
  });
}

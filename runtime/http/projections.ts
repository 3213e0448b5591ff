// GET /projections: what projections there are, their keys, their entries.
import type { Context } from "hono";
import type { HttpPorts } from "./ports.ts";
import { problem } from "./problem.ts";
import { type App, newApp, onlyAllows } from "./request.ts";

const limitDefault = 100;
const limitMax = 1_000;
const readable = "GET, HEAD";

export function projectionRoutes({ projections }: HttpPorts): App {
  const app = newApp();
  app.get("/", async (context) => context.json({ projections: await projections.list() }));
  app.all("/", onlyAllows(readable));

  app.get("/:name", async (context) => {
    const name = context.req.param("name");
    const asked = context.req.query("limit");
    const limit = asked === undefined ? limitDefault : limitOf(asked);
    if (limit === undefined) {
      const detail = `limit must be a whole number from 1 to ${limitMax}, got ${shown(asked ?? "")}`;
      return problem(context, "EDDY_HTTP_QUERY", detail);
    }
    const after = context.req.query("after");
    const page = await projections.keys(name, { limit, ...(after === undefined ? {} : { after }) });
    if (page !== undefined) return context.json(page);
    return problem(context, "EDDY_PROJECTION_UNKNOWN", `there is no projection ${shown(name)}`);
  });
  app.all("/:name", onlyAllows(readable));

  // A key may hold slashes, encoded or as they are.
  app.get("/:name/:key{[\\s\\S]+}", async (context) => {
    const { name, key } = context.req.param();
    const entry = await projections.get(name, key);
    if (entry === undefined) {
      const detail = `projection ${shown(name)} has no entry ${shown(key)}`;
      return problem(context, "EDDY_ENTRY_UNKNOWN", detail);
    }
    const etag = `"${entry.revision}"`;
    const headers = { etag, "cache-control": "no-cache" };
    if (matches(context, etag)) return context.body(null, 304, headers);
    return context.json(entry.value as object, 200, headers);
  });
  app.all("/:name/:key{[\\s\\S]+}", onlyAllows(readable));
  return app;
}

function limitOf(text: string): number | undefined {
  const limit = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  return limit >= 1 && limit <= limitMax ? limit : undefined;
}

/** RFC 9110, section 13.1.2: a list of tags or `*`, compared weakly. */
function matches(context: Context, etag: string): boolean {
  const given = context.req.header("if-none-match") ?? "";
  return given.split(",").some((tag) => {
    const bare = tag.trim();
    return bare === "*" || bare.replace(/^W\//, "") === etag;
  });
}

function shown(text: string): string {
  return JSON.stringify(text.length > 100 ? `${text.slice(0, 97)}...` : text);
}

// GET /projections/:name: the entries of a projection by key, prefix and index, page by page.
import type { Context, Handler } from "hono";
import { conditionsOf, type EntryQuery } from "../pipeline/index.ts";
import type { ProjectionReader } from "../projections/index.ts";
import { problem } from "./problem.ts";

const parameters = ["after", "limit", "prefix", "values", "where"];
const limitDefault = 100;
const limitMax = 1_000;

/** Keys, or with `values=true` entries. */
export function listRoute(projections: ProjectionReader): Handler {
  return async (context) => {
    const name = context.req.param("name") ?? "";
    const query = queryOf(context);
    if (typeof query === "string") return problem(context, "EDDY_HTTP_QUERY", query);
    const values = context.req.query("values") === "true";
    const page = await (values ? projections.entries(name, query) : projections.keys(name, query));
    if (page !== undefined) return context.json(page);
    return problem(
      context,
      "EDDY_PROJECTION_UNKNOWN",
      `there is no projection ${shown(name)}. See: GET /projections`,
    );
  };
}

/** A sentence where the query is not legal. */
function queryOf({ req }: Context): EntryQuery | string {
  const strange = Object.keys(req.query()).find((name) => !parameters.includes(name));
  if (strange !== undefined)
    return `${shown(strange)} is none of ${parameters.join(", ")}; an index is asked with where=INDEX=VALUE`;
  const { limit: asked = String(limitDefault), after, prefix, values = "false" } = req.query();
  const limit = /^\d{1,9}$/.test(asked) ? Number(asked) : 0;
  if (limit < 1 || limit > limitMax)
    return `limit must be a whole number from 1 to ${limitMax}, got ${shown(asked)}`;
  if (values !== "true" && values !== "false")
    return `values must be true or false, got ${shown(values)}`;
  const where = conditionsOf(req.queries("where") ?? []);
  if (typeof where === "string") return `where: ${where}`;
  return {
    limit,
    ...(after === undefined ? {} : { after }),
    ...(prefix === undefined ? {} : { prefix }),
    ...(where.length === 0 ? {} : { where }),
  };
}

export function shown(text: string): string {
  return JSON.stringify(text.length > 100 ? `${text.slice(0, 97)}...` : text);
}

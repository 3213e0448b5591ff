// What requests that carry a body have in common: its bound, its encoding, its headers as they were sent.
import type { HttpBindings } from "@hono/node-server";
import { type Context, Hono, type MiddlewareHandler } from "hono";
import { problem } from "./problem.ts";

/** Node's own request and response, where a real server is in front. */
export type Env = { Bindings: Partial<HttpBindings> };
export type App = Hono<Env>;

export function newApp(): App {
  return new Hono<Env>();
}

/**
 * Reads a body of at most so many bytes, with or without a content length; a larger one is not read further.
 * Not Hono's bodyLimit: it makes a Request anew, which needs the global Request replaced in the whole process.
 */
export async function readBody(
  context: Context<Env>,
  bytesMax: number,
): Promise<Uint8Array | Response> {
  if (Number(context.req.header("content-length") ?? 0) > bytesMax) {
    return tooLarge(context, bytesMax);
  }
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of context.req.raw.body ?? []) {
    bytes += chunk.byteLength;
    if (bytes > bytesMax) return tooLarge(context, bytesMax); // which cancels the rest
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function tooLarge(context: Context, bytesMax: number): Response {
  return problem(
    context,
    "EDDY_HTTP_BODY_TOO_LARGE",
    `a body may have ${bytesMax} bytes (http.maxBodyBytes). Nothing was stored`,
    { headers: { connection: "close" } },
  );
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

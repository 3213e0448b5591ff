// What requests that carry a body have in common: its bound, its encoding, its headers as they were sent, and an answer
// that costs little. Where Node's own server is in front its request and response are used directly: the web's streams,
// Headers and Response in between cost more than all else that is done with an event.
import type { IncomingMessage } from "node:http";
import type { HttpBindings } from "@hono/node-server";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
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
  if (Number(headerOf(context, "content-length") ?? 0) > bytesMax) {
    return tooLarge(context, bytesMax);
  }
  const incoming = context.env?.incoming;
  if (incoming !== undefined) {
    return (await readIncoming(incoming, bytesMax)) ?? tooLarge(context, bytesMax);
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

/** Undefined where it is too large. Rejects where the client goes away within it. */
function readIncoming(incoming: IncomingMessage, bytesMax: number): Promise<Buffer | undefined> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  return new Promise((resolve, reject) => {
    incoming.on("data", (chunk: Uint8Array) => {
      bytes += chunk.byteLength;
      if (bytes <= bytesMax) chunks.push(chunk);
      else {
        incoming.pause();
        resolve(undefined);
      }
    });
    incoming.on("end", () => resolve(Buffer.concat(chunks)));
    incoming.on("error", reject);
    incoming.on("close", () => reject(new Error("the connection ended within the body")));
  });
}

function headerOf({ env, req }: Context<Env>, name: string): string | undefined {
  if (env?.incoming === undefined) return req.header(name);
  const value = env.incoming.headers[name];
  return Array.isArray(value) ? value.join(", ") : value;
}

/** 202 with a JSON body. */
export function accepted(context: Context<Env>, body: object): Response {
  const outgoing = context.env?.outgoing;
  if (outgoing === undefined) return context.json(body, 202);
  const bytes = Buffer.from(JSON.stringify(body));
  outgoing.writeHead(202, { "content-type": "application/json", "content-length": bytes.length });
  outgoing.end(bytes);
  return RESPONSE_ALREADY_SENT;
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
  const encoding = headerOf(context, "content-encoding");
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

// GET /projections/:name/watch: entries as server-sent events, as they are and as they change; a client that comes back
// names the last one it has seen (`Last-Event-ID`) and goes on there.
// S1 A change is read from the server when the client has room for it: one that never reads costs a few, and is cut off.
// S2 A watch ends with its client, and with the node. S3 What ends it for another reason is told, as an event `problem`.
import type { MiddlewareHandler } from "hono";
import { EddyError } from "../events/index.ts";
import type { Change, WatchOptions } from "../projections/index.ts";
import type { HttpPorts } from "./ports.ts";
import { isProblemCode, type ProblemCode, problem, problemOf } from "./problem.ts";

const watchesMax = 200;
const beatMs = 15_000; // for what stands between and closes silent connections; and to notice who is gone
const patienceMs = 60_000; // who reads has taken several beats by then

/** For a client that accepts `text/event-stream`; any other one means the entry `watch`. */
export function watchRoute({ projections, closing, unexpected }: HttpPorts): MiddlewareHandler {
  let watches = 0;
  return async (context, next) => {
    const { req } = context;
    if (!(req.header("accept") ?? "").includes("text/event-stream")) return await next();
    const asked = req.header("last-event-id") ?? req.query("since");
    const since = asked === undefined ? undefined : placeOf(asked);
    if (asked !== undefined && since === undefined) {
      const detail = `Last-Event-ID, or since, must be the id or the revision of a change, got ${JSON.stringify(asked.slice(0, 100))}`;
      return problem(context, "EDDY_HTTP_QUERY", detail);
    }
    if (watches >= watchesMax) {
      const detail = `${watchesMax} clients watch already. Watch another node, or try again later`;
      return problem(context, "EDDY_HTTP_BUSY", detail);
    }
    const stop = new AbortController();
    const [key, prefix] = [req.query("key"), req.query("prefix")];
    const name = req.param("name") ?? "";
    watches++; // before anything is waited for
    stop.signal.addEventListener("abort", () => watches--);
    const options = {
      signal: AbortSignal.any([closing, stop.signal]),
      ...(key === undefined ? {} : { key }),
      ...(prefix === undefined ? {} : { prefix }),
      ...(since === undefined ? {} : { since }),
    };
    const changes = await projections.watch(name, options).catch((error: unknown) => {
      stop.abort();
      throw error;
    });
    return context.body(eventsOf(changes, stop, unexpected), 200, {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-store",
    });
  };
}

/** The id of a change, or its revision alone. */
function placeOf(text: string): WatchOptions["since"] {
  const [, revision, bucket] = /^(\d{1,15})(?:-([0-9a-z]{1,12}))?$/.exec(text) ?? [];
  if (revision === undefined) return undefined;
  return { revision: Number(revision), ...(bucket === undefined ? {} : { bucket }) };
}

function eventsOf(
  changes: AsyncGenerator<Change>,
  stop: AbortController,
  unexpected: HttpPorts["unexpected"],
): ReadableStream {
  const encoder = new TextEncoder();
  let next: Promise<IteratorResult<Change>> | undefined;
  let unread: NodeJS.Timeout | undefined;
  const end = () => {
    clearTimeout(unread);
    stop.abort();
    void changes.return(undefined).catch(() => {}); // also where nobody has asked for the next one
  };
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        clearTimeout(unread);
        next ??= changes.next();
        const result = await orBeat(next).catch((error: unknown) => ({ error }));
        if (result !== "beat" && ("error" in result || result.done)) {
          end();
          if ("error" in result)
            controller.enqueue(encoder.encode(problemText(result.error, unexpected)));
          controller.close();
          return;
        }
        if (result !== "beat") next = undefined;
        const text = result === "beat" ? ":\n\n" : eventText(result.value);
        controller.enqueue(encoder.encode(text));
        unread = setTimeout(() => {
          end();
          controller.error(new Error("the client does not read"));
        }, patienceMs).unref();
      },
      cancel: end,
    },
    { highWaterMark: 1 },
  );
}

async function orBeat(next: Promise<IteratorResult<Change>>) {
  let timer: NodeJS.Timeout | undefined;
  const beat = new Promise<"beat">((resolve) => {
    timer = setTimeout(() => resolve("beat"), beatMs);
  });
  return await Promise.race([next, beat]).finally(() => clearTimeout(timer));
}

// JSON has no line breaks, so the data is one line.
function eventText({ bucket, ...change }: Change): string {
  const id = `${change.revision}-${bucket}`;
  return `id: ${id}\nevent: change\ndata: ${JSON.stringify(change)}\n\n`;
}

/** Why there are no more changes. The client may come back, and goes on where it was. */
function problemText(error: unknown, unexpected: HttpPorts["unexpected"]): string {
  if (error instanceof EddyError && isProblemCode(error.code))
    return problemEvent(error.code, error.message);
  unexpected(error);
  return problemEvent("EDDY_INTERNAL", "the watch has ended; the node's log says more");
}

function problemEvent(code: ProblemCode, detail: string): string {
  return `event: problem\ndata: ${problemOf(code, detail).body}\n\n`;
}

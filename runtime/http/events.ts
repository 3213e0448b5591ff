// POST /events: CloudEvents in binary, structured and batched mode. 202 means that all of them are stored.
import { decodeRequest, positionText, type StoredEvent } from "../events/index.ts";
import type { HttpPorts } from "./ports.ts";
import { faultProblem } from "./problem.ts";
import {
  type App,
  accepted,
  headerPairs,
  newApp,
  onlyAllows,
  readBody,
  unencoded,
} from "./request.ts";

export function eventRoutes({ store, bodyBytesMax }: HttpPorts): App {
  const app = newApp();
  app.post("/", unencoded, async (context) => {
    const body = await readBody(context, bodyBytesMax);
    if (body instanceof Response) return body;
    const decoded = decodeRequest(headerPairs(context), body);
    if (!decoded.ok) return faultProblem(context, decoded.fault, decoded.index);
    return accepted(context, answer(await store(decoded.events)));
  });
  app.all("/", onlyAllows("POST"));
  return app;
}

/** The body of an answer to what was stored. */
export function answer(stored: readonly StoredEvent[]) {
  return {
    events: stored.map(({ id, source, stream, seq, duplicate }) => {
      return { id, source, stream, seq, position: positionText({ stream, seq }), duplicate };
    }),
  };
}

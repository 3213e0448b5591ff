// All routes put together, and what becomes of every error: a problem document, never a stack trace.
import type { Context } from "hono";
import { HTTPException } from "hono/http-exception";
import { EddyError } from "../events/index.ts";
import { crossOrigin } from "./cross-origin.ts";
import { eventRoutes } from "./events.ts";
import { operationRoutes } from "./operations.ts";
import type { HttpPorts } from "./ports.ts";
import { isProblemCode, problem } from "./problem.ts";
import { projectionRoutes } from "./projections.ts";
import { type App, type Env, newApp } from "./request.ts";
import { webhookRoutes } from "./webhooks.ts";

export function createApp(ports: HttpPorts): App {
  const app = newApp();
  const { origins = [] } = ports;
  if (origins.length > 0) {
    for (const path of ["/events", "/projections", "/projections/*"])
      app.use(path, crossOrigin(origins));
  }
  app.route("/events", eventRoutes(ports));
  app.route("/webhooks", webhookRoutes(ports));
  app.route("/projections", projectionRoutes(ports));
  app.route("/", operationRoutes(ports));
  app.notFound((context) =>
    problem(
      context,
      "EDDY_HTTP_NOT_FOUND",
      `there is nothing at ${JSON.stringify(context.req.path.slice(0, 200))}. See /events, /webhooks/github, /projections, /healthz, /readyz, /metrics`,
    ),
  );
  app.onError((error, context) => {
    if (error instanceof EddyError && isProblemCode(error.code)) {
      return problem(context, error.code, error.message);
    }
    if (error instanceof HTTPException && error.status < 500) {
      return problem(context, "EDDY_HTTP_MALFORMED", error.message);
    }
    if (isCut(context)) {
      return problem(context, "EDDY_HTTP_CUT", "the connection ended within the body"); // to nobody
    }
    ports.unexpected(error);
    const detail = "this is not the request's fault; the node's log says more";
    return problem(context, "EDDY_INTERNAL", detail);
  });
  return app;
}

/** The client went away while its body was read. */
function isCut(context: Context<Env>): boolean {
  const incoming = context.env?.incoming;
  return incoming?.destroyed === true && !incoming.complete;
}

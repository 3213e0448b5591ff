// What an orchestrator and a monitor ask: /healthz (this process runs), /readyz (it does its work), /metrics.
import type { HttpPorts } from "./ports.ts";
import { problem } from "./problem.ts";
import { type App, newApp, onlyAllows } from "./request.ts";

export function operationRoutes({ readiness, metrics }: HttpPorts): App {
  const app = newApp();
  app.get("/healthz", (context) => context.json({ healthy: true }));
  app.get("/readyz", (context) => {
    const state = readiness();
    if (state.ready) return context.json({ ready: true });
    const { reasons } = state;
    return problem(context, "EDDY_NOT_READY", `${reasons.join("; ")}.`, { reasons });
  });
  app.get("/metrics", async (context) => {
    const type = "text/plain; version=0.0.4; charset=utf-8";
    return context.body(await metrics(), 200, { "content-type": type });
  });
  for (const path of ["/healthz", "/readyz", "/metrics"]) app.all(path, onlyAllows("GET, HEAD"));
  return app;
}

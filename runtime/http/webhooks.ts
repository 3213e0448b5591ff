// POST /webhooks/github: GitHub's deliveries, checked and stored as CloudEvents.
import { createHmac, timingSafeEqual } from "node:crypto";
import type { Context } from "hono";
import { type DecodedRequest, decodeData, type Fault } from "../events/index.ts";
import { answer } from "./events.ts";
import { githubEvent } from "./github.ts";
import type { HttpPorts } from "./ports.ts";
import { faultProblem, problem } from "./problem.ts";
import { type App, accepted, newApp, onlyAllows, readBody, unencoded } from "./request.ts";

export function webhookRoutes({ store, bodyBytesMax, githubSecret }: HttpPorts): App {
  const app = newApp();
  app.post("/github", unencoded, async (context) => {
    const body = await readBody(context, bodyBytesMax);
    if (body instanceof Response) return body;
    const signature = context.req.header("x-hub-signature-256");
    if (githubSecret !== undefined && !isSigned(body, signature, githubSecret)) {
      return unsigned(context, signature);
    }
    const decoded = decodeDelivery(context, body);
    if (!decoded.ok) return faultProblem(context, decoded.fault);
    return accepted(context, answer(await store(decoded.events)));
  });
  app.all("/github", onlyAllows("POST"));
  return app;
}

/** Whether this is the signature of these bytes; compared in a time that tells nothing. */
function isSigned(body: Uint8Array, signature: string | undefined, secret: string): boolean {
  const expected = Buffer.from(`sha256=${createHmac("sha256", secret).update(body).digest("hex")}`);
  const given = Buffer.from(signature ?? "");
  return given.byteLength === expected.byteLength && timingSafeEqual(given, expected);
}

function unsigned(context: Context, signature: string | undefined): Response {
  const what =
    signature === undefined
      ? "X-Hub-Signature-256 is missing"
      : "X-Hub-Signature-256 is not the signature of this body";
  return problem(
    context,
    "EDDY_WEBHOOK_SIGNATURE",
    `${what}. Nothing was stored. The webhook's secret at GitHub and webhooks.github.secret have to be the same`,
    { headers: { "www-authenticate": 'X-Hub-Signature-256 realm="webhooks/github"' } },
  );
}

function decodeDelivery(context: Context, body: Uint8Array): DecodedRequest {
  const event = context.req.header("x-github-event") ?? "";
  if (!/^[a-z0-9_]{1,64}$/.test(event)) {
    return attributeFault("type", "X-GitHub-Event must name an event such as issues");
  }
  const id = context.req.header("x-github-delivery") ?? "";
  if (id === "") return attributeFault("id", "X-GitHub-Delivery is missing; it becomes the id");
  const json = payloadOf(context.req.header("content-type"), body);
  if (!(json instanceof Uint8Array)) return { ok: false, fault: json };
  const payload = decodeData(json, "application/json");
  if (!payload.ok) return notJson(payload.fault);
  if (typeof payload.data !== "object" || payload.data === null || Array.isArray(payload.data)) {
    return notJson({ code: "EDDY_EVENT_DATA", message: "the payload is no JSON object" });
  }
  const decoded = githubEvent({ event, id, payload: payload.data, received: new Date() });
  return decoded.ok ? { ok: true, events: [decoded.event] } : decoded;
}

/** The JSON of a delivery: GitHub sends it as it is, or as a form's field `payload`. */
function payloadOf(contentType: string | undefined, body: Uint8Array): Uint8Array | Fault {
  const media = (contentType ?? "").split(";", 1)[0]?.trim().toLowerCase();
  if (media === "application/json") return body;
  if (media === "application/x-www-form-urlencoded") {
    const payload = new URLSearchParams(Buffer.from(body).toString("utf8")).get("payload");
    if (payload !== null) return Buffer.from(payload, "utf8");
    return { code: "EDDY_EVENT_MALFORMED", message: "the form has no field payload" };
  }
  return {
    code: "EDDY_EVENT_CONTENT_TYPE",
    message: `a delivery is application/json or application/x-www-form-urlencoded, got ${contentType ?? "none"}`,
    attribute: "datacontenttype",
  };
}

function attributeFault(attribute: string, message: string): DecodedRequest {
  return { ok: false, fault: { code: "EDDY_EVENT_ATTRIBUTE", message, attribute } };
}

// The payload is the whole delivery: where it is no JSON object there is no event, rather than one with bad data.
function notJson({ code, message, attribute }: Fault): DecodedRequest {
  const whole = code === "EDDY_EVENT_DATA" ? "EDDY_EVENT_MALFORMED" : code;
  return {
    ok: false,
    fault: { code: whole, message, ...(attribute === undefined ? {} : { attribute }) },
  };
}

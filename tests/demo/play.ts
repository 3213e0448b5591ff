// One pass: every delivery through POST /webhooks/github, one after the other, as GitHub's order is all there is.
import type { Delivery } from "./deliveries.ts";

export interface Pass {
  sent: number;
  stored: number;
  /** Answers that say that the event was stored before. */
  duplicates: number;
}

/** @throws Error for the first answer that is not 202 with what was stored. */
export async function play(
  url: string,
  deliveries: readonly Delivery[],
  onSent: () => void,
): Promise<Pass> {
  const pass: Pass = { sent: 0, stored: 0, duplicates: 0 };
  for (const delivery of deliveries) {
    const duplicate = await send(url, delivery);
    pass.sent += 1;
    pass[duplicate ? "duplicates" : "stored"] += 1;
    onSent();
  }
  return pass;
}

async function send(url: string, { id, event, body }: Delivery): Promise<boolean> {
  const response = await fetch(`${url}/webhooks/github`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "x-github-event": event,
      "x-github-delivery": id,
    },
    body,
  });
  const text = await response.text();
  const answer: unknown = response.status === 202 ? JSON.parse(text) : undefined;
  if (!isAnswer(answer)) {
    throw new Error(`delivery ${id} (${event}) was answered with ${response.status}: ${text}`);
  }
  return answer.events.every((stored) => stored.duplicate);
}

function isAnswer(value: unknown): value is { events: readonly { duplicate: boolean }[] } {
  return (
    typeof value === "object" &&
    value !== null &&
    "events" in value &&
    Array.isArray(value.events) &&
    value.events.length > 0 &&
    value.events.every((stored) => typeof stored?.duplicate === "boolean")
  );
}

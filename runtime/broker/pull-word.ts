// What the server says about a pull request instead of a message (ADR-37): a status, and what of the request is left.
// Pure.
import type { Msg } from "./client.ts";

export type PullWord =
  | { readonly kind: "heartbeat" }
  /** The request is over; so much of it was not used. `large`: the next message exceeds what it had left. */
  | {
      readonly kind: "ended";
      readonly messages: number;
      readonly bytes: number;
      readonly large: boolean;
    }
  /** Somebody else serves the consumer from now on: requests are forgotten. */
  | { readonly kind: "shaken" }
  | { readonly kind: "broken"; readonly why: string };

const shaken = /^(leadership change|server shutdown|exceeded maxwaiting)/i;

export function wordOf({ headers }: Msg): PullWord {
  const code = headers?.code ?? 0;
  const description = headers?.description ?? "";
  const left = (name: string) => Number.parseInt(headers?.get(name) || "0", 10);
  const ended = {
    kind: "ended",
    messages: left("Nats-Pending-Messages"),
    bytes: left("Nats-Pending-Bytes"),
  } as const;
  switch (code) {
    case 100:
      return { kind: "heartbeat" };
    case 404:
    case 408:
      return { ...ended, large: false };
    case 409:
      if (/^message size exceeds/i.test(description)) return { ...ended, large: true };
      if (/^batch completed/i.test(description)) return { ...ended, large: false };
      if (shaken.test(description)) return { kind: "shaken" };
      return { kind: "broken", why: description };
    case 503:
      return { kind: "broken", why: "its consumer is gone (no responders)" };
    default:
      return { kind: "broken", why: `${code} ${description}` };
  }
}

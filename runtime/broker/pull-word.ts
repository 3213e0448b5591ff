// What the server says about a pull request instead of a message (ADR-37): a status, and what of the request is left.
// Pure.
import type { Msg } from "./client.ts";
import { rawBytes } from "./wire.ts";

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

export function wordOf(message: Msg): PullWord {
  const { code, description, left } = headOf(message);
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

interface Head {
  readonly code: number;
  readonly description: string;
  readonly left: (name: string) => number;
}

// Every reader is told something each second, also while nothing happens: the client's parser would be most of that.
function headOf(message: Msg): Head {
  const bytes = rawBytes(message);
  if (bytes === undefined) {
    const { headers } = message;
    return {
      code: headers?.code ?? 0,
      description: headers?.description ?? "",
      left: (name) => Number.parseInt(headers?.get(name) || "0", 10),
    };
  }
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
  const [, code, description = ""] = /^NATS\/1\.0 (\d+) ?([^\r]*)/.exec(text) ?? [];
  return {
    code: Number(code ?? 0),
    description,
    left(name) {
      const at = text.indexOf(`\r\n${name}:`);
      return at < 0 ? 0 : Number.parseInt(text.slice(at + name.length + 3), 10) || 0;
    },
  };
}

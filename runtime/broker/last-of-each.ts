// The last messages of many subjects of one stream in one request: a direct get of `multi_last` (ADR-31).
// L1 What is missing in a whole answer is not in the stream. L2 An answer that stops halfway says so: nothing of what it
// lacks is taken for absent. L3 Only the stream itself counts: a mirror that answers for it may be behind.
import { createInbox, type Msg, type NatsConnection } from "./client.ts";
import { onLoss } from "./losses.ts";
import type { StoredMessage } from "./stored.ts";
import { rawBytes } from "./wire.ts";

/** Subjects in one request: the server gives at most 1,024 messages at once. */
export const subjectsMax = 512;
/** All of them together, in characters: a request has to fit into one message. */
export const subjectCharsMax = 256 * 1024;
const bytesMax = 4 * 2 ** 20;
const silenceMs = 5_000;

export interface LastOfEach {
  /** By subject. */
  readonly found: ReadonlyMap<string, StoredMessage>;
  readonly end:
    | { readonly kind: "whole" }
    /** The server has more than it gives at once: ask for the rest. */
    | { readonly kind: "more" }
    /** It does not answer such a request for this stream: ask for each. */
    | { readonly kind: "unable" }
    | { readonly kind: "silent"; readonly cause: Error };
}

export type ReadLastOfEach = (stream: string, subjects: readonly string[]) => Promise<LastOfEach>;

interface Asked {
  readonly stream: string;
  readonly found: Map<string, StoredMessage>;
  bytes: number;
  /** The timer of the silence. */
  timer: NodeJS.Timeout | undefined;
  readonly settle: (end: LastOfEach["end"]) => void;
}

/** One subscription takes the answers to all requests, for as long as the connection lasts. */
export function createLastOfEach(nc: NatsConnection): ReadLastOfEach {
  const inbox = createInbox();
  const open = new Map<string, Asked>();
  let last = 0;
  let listening = false;

  function listen(): void {
    if (listening) return;
    listening = true;
    nc.subscribe(`${inbox}.*`, {
      callback(_, message) {
        const asked = open.get(message.subject.slice(inbox.length + 1));
        if (asked !== undefined) take(asked, message);
      },
    });
    onLoss(nc, () => {
      const cause = new Error("the connection was lost before the answer");
      for (const asked of [...open.values()]) asked.settle({ kind: "silent", cause });
    });
  }

  return async (stream, subjects) => {
    listen();
    const name = String(++last);
    return await new Promise((resolve) => {
      const found = new Map<string, StoredMessage>();
      const asked: Asked = {
        stream,
        found,
        bytes: 0,
        timer: undefined,
        settle(end) {
          clearTimeout(asked.timer);
          open.delete(name);
          resolve({ found, end });
        },
      };
      open.set(name, asked);
      wait(asked);
      const request = JSON.stringify({ multi_last: subjects, max_bytes: bytesMax });
      try {
        nc.publish(`$JS.API.DIRECT.GET.${stream}`, request, { reply: `${inbox}.${name}` });
      } catch (error) {
        const cause = error instanceof Error ? error : new Error(String(error));
        asked.settle({ kind: "silent", cause });
      }
    });
  };
}

function wait(asked: Asked): void {
  asked.timer = setTimeout(() => {
    const cause = new Error(`stream ${asked.stream} gave no answer for ${silenceMs / 1_000} s`);
    asked.settle({ kind: "silent", cause });
  }, silenceMs);
}

function take(asked: Asked, message: Msg): void {
  const { data } = message;
  const raw = rawBytes(message);
  const lines =
    raw === undefined
      ? ""
      : Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength - data.byteLength).toString(
          "latin1",
        );
  const code = lines.slice(9, 12); // behind "NATS/1.0 "
  if (/^\d/.test(code)) {
    asked.settle(endOf(code, lines, asked));
    return;
  }
  const natsSubject = field(lines, "Nats-Subject");
  const seq = Number(field(lines, "Nats-Sequence"));
  if (field(lines, "Nats-Stream") !== asked.stream || natsSubject === undefined || !(seq > 0)) {
    asked.found.clear();
    asked.settle({ kind: "unable" }); // L3
    return;
  }
  const time = new Date(field(lines, "Nats-Time-Stamp") ?? 0);
  asked.found.set(natsSubject, { natsSubject, seq, time, data });
  asked.bytes += lines.length + data.byteLength;
  asked.timer?.refresh();
}

function endOf(code: string, lines: string, { found, bytes }: Asked): LastOfEach["end"] {
  if (code === "404") return { kind: "whole" };
  if (code !== "204") return { kind: "unable" };
  // How many are pending is not told exactly: near the limit of bytes it is asked again rather than believed.
  const pending = Number(field(lines, "Nats-Num-Pending") ?? 0);
  if (pending === 0 && bytes < bytesMax / 4) return { kind: "whole" };
  return { kind: found.size > 0 ? "more" : "unable" };
}

/** The server's own fields stand behind those of the message: the last one of a name is its. */
function field(lines: string, name: string): string | undefined {
  const at = lines.lastIndexOf(`\r\n${name}: `);
  if (at < 0) return undefined;
  const from = at + name.length + 4;
  return lines.slice(from, lines.indexOf("\r\n", from));
}

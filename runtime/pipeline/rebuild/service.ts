// Asking for a rebuild from outside: a request to whoever holds the projection's ledger, and answers until it is over.
// Q1 Who does not hold it is silent. Q2 Whoever asks may go: the rebuild goes on, unless it is told to stop.
import { type Broker, createInbox } from "../../broker/index.ts";
import { describeThrown, EddyError, natsSubject, token } from "../../events/index.ts";
import { readMoment } from "../log/when.ts";
import type { From } from "./beginning.ts";
import type { RebuildProgress, Rebuilt } from "./rebuild.ts";
import type { RebuildOptions } from "./rebuilds.ts";

type Ask = { readonly kind: "rebuild"; readonly from?: string } | { readonly kind: "stop" };

type Answer =
  | { readonly kind: "progress"; readonly progress?: RebuildProgress }
  | { readonly kind: "rebuilt"; readonly rebuilt: Rebuilt }
  | { readonly kind: "refused"; readonly code: string; readonly message: string };

export interface RebuildServer {
  /** Whether its ledger is held here. */
  holds(name: string): boolean;
  rebuild(name: string, options: RebuildOptions): Promise<Rebuilt>;
  stop(name: string): void;
}

const answerEveryMs = 500;
const firstAnswerMs = 2_000;
const silenceMs = 15_000;

/** Answers requests for the projections of this process; returns what ends that. */
export function serveRebuilds(broker: Broker, server: RebuildServer): () => void {
  const { nc, app } = broker;

  async function serve(name: string, ask: Ask, answer: (a: Answer) => void): Promise<void> {
    if (ask.kind === "stop") return server.stop(name);
    let progress: RebuildProgress | undefined;
    const tell = () =>
      answer({ kind: "progress", ...(progress === undefined ? {} : { progress }) });
    const timer = setInterval(tell, answerEveryMs);
    tell();
    try {
      const from = rebuildFrom(ask.from, broker.home);
      const rebuilt = await server.rebuild(name, {
        ...(from === undefined ? {} : { from }),
        onProgress(now) {
          progress = now;
        },
      });
      answer({ kind: "rebuilt", rebuilt });
    } catch (error) {
      const { message } = describeThrown(error);
      const code = error instanceof EddyError ? error.code : "EDDY_REBUILD_FAILED";
      answer({ kind: "refused", code, message });
    } finally {
      clearInterval(timer);
    }
  }

  const subscription = nc.subscribe(`${natsSubject("rebuild", token(app))}.*`, {
    callback(error, message) {
      if (error !== null) return;
      const name = message.subject.slice(message.subject.lastIndexOf(".") + 1);
      const ask = askOf(message.data);
      if (ask === undefined || !server.holds(name)) return;
      void serve(name, ask, (answer) => {
        if (!nc.isClosed()) message.respond(JSON.stringify(answer));
      });
    },
  });
  return () => subscription.unsubscribe();
}

function askOf(data: Uint8Array): Ask | undefined {
  try {
    const ask: unknown = JSON.parse(new TextDecoder().decode(data));
    if (typeof ask !== "object" || ask === null || !("kind" in ask)) return undefined;
    if (ask.kind === "stop") return { kind: "stop" };
    if (ask.kind !== "rebuild") return undefined;
    return "from" in ask && typeof ask.from === "string"
      ? { kind: "rebuild", from: ask.from }
      : { kind: "rebuild" };
  } catch {
    return undefined; // not from a command of ours
  }
}

/** A position (`EVENTS:7`) or a time (RFC 3339). */
export function rebuildFrom(text: string | undefined, home: string): From | undefined {
  if (text === undefined) return undefined;
  const when = readMoment(text, home, Date.now());
  if (typeof when === "string")
    throw new EddyError("EDDY_REBUILD_FROM", `where a rebuild begins ${when}`);
  return when.kind === "position" ? when.position : new Date(when.atMs);
}

export interface AskOptions {
  readonly from?: string;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: RebuildProgress) => void;
}

/**
 * Asks whoever holds the projection; undefined where nobody does. With the signal it is stopped.
 * @throws EddyError what it was refused with, or `EDDY_REBUILD_SILENT`
 */
export async function askForRebuild(
  { nc, app }: Broker,
  name: string,
  { from, signal, onProgress }: AskOptions,
): Promise<Rebuilt | undefined> {
  const subject = natsSubject("rebuild", token(app), token(name));
  const inbox = createInbox();
  const answers = nc.subscribe(inbox);
  const ask: Ask = { kind: "rebuild", ...(from === undefined ? {} : { from }) };
  const stop = () => nc.publish(subject, JSON.stringify({ kind: "stop" } satisfies Ask));
  signal.addEventListener("abort", stop);
  let answered = false;
  let timer = setTimeout(() => answers.unsubscribe(), firstAnswerMs);
  try {
    nc.publish(subject, JSON.stringify(ask), { reply: inbox });
    for await (const message of answers) {
      clearTimeout(timer);
      if (message.data.byteLength === 0) return undefined; // no responders
      timer = setTimeout(() => answers.unsubscribe(), silenceMs);
      answered = true;
      const answer = message.json<Answer>();
      if (answer.kind === "rebuilt") return answer.rebuilt;
      if (answer.kind === "refused") throw new EddyError(answer.code, answer.message);
      if (answer.progress !== undefined) onProgress(answer.progress);
    }
  } finally {
    clearTimeout(timer);
    answers.unsubscribe();
    signal.removeEventListener("abort", stop);
  }
  if (!answered) return undefined;
  const text = `whoever rebuilds projection ${name} has said nothing for ${silenceMs / 1_000} s. The old entries or the new ones are there, whole. See eddy handlers, and ask again`;
  throw new EddyError("EDDY_REBUILD_SILENT", text, { projection: name });
}

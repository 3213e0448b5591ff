// What comes back: retries that are due and letters that were given back. One consumer for all handlers of the app.
// Whether an event may run again is decided by its standing alone, so nothing here runs twice or is lost.
// Q1 A message leaves the RETRY stream only after what it led to is stored. Q2 One run of an event at a time.
import {
  AckPolicy,
  type Broker,
  type ConsumerMessages,
  deadStream,
  durable,
  ensureConsumer,
  isMissing,
  type JsMsg,
  nanos,
  readMessage,
  retryStream,
} from "../../broker/index.ts";
import {
  decodeMessage,
  describeThrown,
  EddyError,
  keyOf,
  natsSubject,
  parseHeaderBlock,
  token,
} from "../../events/index.ts";
import { concludeDead } from "../conclude.ts";
import type { Report } from "../facts.ts";
import type { Runner } from "../runner.ts";
import type { Job, Scope } from "../scope.ts";
import { retrySubject } from "./backoff.ts";
import { letterSubject, removeLetter } from "./letters.ts";
import type { Parcel } from "./parcel.ts";
import { readStanding, type Standing } from "./standing.ts";
import { dropAside, openParcel } from "./store.ts";

export interface DueReader {
  stop(): Promise<void>;
}

const ackWaitMs = 60_000;
const laterMs = 1_000;
const notHereMs = 5_000;

/** What to do with an event that comes back. */
export type Judgement = "run" | "stale" | "later" | "uncertain";

/** Pure: from the event's standing to what becomes of its return. */
export function judge(o: {
  readonly parcel: Pick<Parcel, "next" | "letter" | "packedMs">;
  readonly standing: Standing | undefined;
  /** The letter that was given back is still there. */
  readonly letterThere: boolean;
  /** The origin's position was completed before the standing was read. */
  readonly passed: boolean;
  readonly nowMs: number;
  readonly retentionMs: number;
}): Judgement {
  const { parcel, standing } = o;
  if (parcel.letter !== undefined) {
    const dead = standing === undefined || standing.kind === "dead"; // standings are cut, letters are kept
    return dead && o.letterThere ? "run" : "stale";
  }
  if (standing !== undefined) {
    return standing.kind === "waiting" && standing.attempt === parcel.next ? "run" : "stale";
  }
  if (!o.passed) return "later"; // its first attempt is still under way, here or after a crash
  return o.nowMs - parcel.packedMs < o.retentionMs ? "stale" : "uncertain";
}

export async function startDue(
  broker: Broker,
  runnerOf: (handler: string) => Runner | undefined,
  report: Report,
): Promise<DueReader> {
  const durableName = `${token(broker.app)}_due`;
  const inFlight = new Map<string, { readonly message: JsMsg; readonly scope: Scope }>();
  let stopping = false;
  let messages: ConsumerMessages | undefined;
  let ended = () => {};
  const loop = run();
  const keepAlive = setInterval(() => {
    for (const { message } of inFlight.values()) message.working();
  }, ackWaitMs / 3);
  // A session that ends takes its jobs with it; their messages come again.
  const sweep = setInterval(() => {
    for (const [name, { message, scope }] of inFlight) {
      if (scope.alive()) continue;
      inFlight.delete(name);
      message.nak(laterMs);
    }
  }, laterMs);

  async function run(): Promise<void> {
    let said = false;
    const about = `retries of ${broker.app}`;
    while (!stopping) {
      const over = new Promise<void>((resolve) => {
        ended = resolve;
      });
      try {
        await ensureConsumer(broker.jsm, retryStream, {
          ...durable,
          durable_name: durableName,
          ack_policy: AckPolicy.Explicit,
          ack_wait: nanos(ackWaitMs),
          max_ack_pending: 1_000,
          filter_subject: `${natsSubject("due", token(broker.app))}.>`,
        });
        messages = await consume();
        if (said)
          report({
            kind: "mended",
            code: "EDDY_DUE_BROKEN",
            about,
            message: "retries are read again",
          });
        said = false;
        await over;
        messages.stop();
      } catch (error) {
        if (!said) {
          const message = `retries cannot be read: ${describeThrown(error).message}; it is tried again`;
          report({ kind: "trouble", code: "EDDY_DUE_BROKEN", about, message });
          said = true;
        }
        await new Promise((resolve) => setTimeout(resolve, 500));
      }
    }
  }

  async function consume(): Promise<ConsumerMessages> {
    const consumer = await broker.js.consumers.get(retryStream, durableName);
    const opened = await consumer.consume({
      max_messages: 500,
      expires: 5_000,
      idle_heartbeat: 1_000,
      abort_on_missing_resource: true,
      callback: (message) => {
        void receive(message).catch(() => message.nak(laterMs)); // the server did not answer: ask again
      },
    });
    void watch(opened);
    return opened;
  }

  async function watch(opened: ConsumerMessages): Promise<void> {
    void opened.closed().then(() => ended());
    for await (const status of opened.status()) {
      if (isMissing(status) || (status.type === "heartbeats_missed" && status.count >= 3)) ended();
    }
  }

  async function receive(message: JsMsg): Promise<void> {
    const parcel = await openParcel(
      broker,
      retryStream,
      (p) => retrySubject(broker.app, p),
      message.data,
    );
    if (parcel === undefined) {
      const text = `${message.subject} (${retryStream} ${message.seq}) holds no event of ours; it is dropped`;
      report({
        kind: "trouble",
        code: "EDDY_DUE_UNREADABLE",
        about: message.subject,
        message: text,
      });
      message.ack();
      return;
    }
    const runner = runnerOf(parcel.handler);
    const scope = runner?.scope();
    const { stream, seq } = parcel.original.position;
    const name = `${parcel.handler} ${stream} ${seq}`;
    if (runner === undefined || scope === undefined) return message.nak(notHereMs);
    if (inFlight.has(name)) return message.nak(laterMs);
    inFlight.set(name, { message, scope });
    const free = () => inFlight.delete(name);
    try {
      await handOn(message, parcel, runner, scope, free);
    } catch (error) {
      free();
      throw error;
    }
  }

  async function handOn(
    message: JsMsg,
    parcel: Parcel,
    runner: Runner,
    scope: Scope,
    free: () => void,
  ) {
    const passed = runner.floor >= parcel.original.position.seq;
    const standing = await readStanding(broker.nc, runner.place, parcel.original.position);
    const judgement = judge({
      parcel,
      standing,
      letterThere: parcel.letter !== undefined && (await letterThere(parcel)),
      passed,
      nowMs: Date.now(),
      retentionMs: scope.defaults.retentionMs,
    });
    const job = makeJob(parcel, scope, () => {
      void remove(message, parcel).finally(free);
    });
    switch (judgement) {
      case "run":
        runner.takeAgain(job);
        return;
      case "uncertain":
        return await concludeDead(scope, job, "uncertain", uncertain(parcel));
      case "later":
        message.nak(laterMs);
        free();
        return;
      case "stale":
        await remove(message, parcel, standing?.kind === "done");
        free();
    }
  }

  async function letterThere(parcel: Parcel): Promise<boolean> {
    const letter = await readMessage(broker.nc, deadStream, { seq: parcel.letter ?? 0 });
    return letter?.natsSubject === letterSubject(broker.app, parcel);
  }

  async function remove(
    message: JsMsg,
    parcel: Parcel,
    withLetter = parcel.letter !== undefined,
  ): Promise<void> {
    if (parcel.letter !== undefined && withLetter && (await letterThere(parcel))) {
      await removeLetter(broker, parcel);
    }
    message.ack();
    await broker.jsm.streams.deleteMessage(retryStream, message.seq, false).catch(() => false); // gone already
    if (parcel.original.data.byteLength > broker.maxPayloadBytes / 2) {
      await dropAside(broker, retryStream, retrySubject(broker.app, parcel)).catch(() => undefined);
    }
  }

  return {
    async stop() {
      stopping = true;
      clearInterval(keepAlive);
      clearInterval(sweep);
      messages?.stop();
      ended();
      await loop;
    },
  };
}

function makeJob(parcel: Parcel, scope: Scope, onStored: () => void): Job {
  const { original } = parcel;
  const fields = original.headers === undefined ? undefined : parseHeaderBlock(original.headers);
  const decoded = decodeMessage(fields, original.data);
  return {
    handler: scope.handler(),
    original,
    ...(decoded.ok ? { event: decoded.event, key: keyOf(decoded.event) } : {}),
    attempt: parcel.next,
    attempts: parcel.attempts,
    from: parcel.letter === undefined ? "retrying" : "dead",
    beganMs: performance.now(),
    onStored,
  };
}

function uncertain(parcel: Parcel): EddyError {
  return new EddyError(
    "EDDY_RETRY_UNCERTAIN",
    `the event waited for attempt ${parcel.next} for longer than home.retention, so the record that tells whether it ` +
      "was done meanwhile is gone. Look whether its effect is there; then give it back or discard it",
  );
}

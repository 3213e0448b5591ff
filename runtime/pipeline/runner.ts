// One handler from start to stop: take-over, tenure, and again whenever the ground moves under it.
// Owns the handler's state. A running one has the ledger's fence and is the only puller of its consumers.
// R1 A ledger is given up and its last unit settled before the next take-over.
import { setTimeout as pause } from "node:timers/promises";
import type { Handler, Projection } from "../authoring/index.ts";
import { type Broker, consumerInfo, ensureConsumer } from "../broker/index.ts";
import { describeThrown } from "../events/index.ts";
import type { Committer } from "./commit.ts";
import { consumerConfig, inputsOf, untilNobodyPulls } from "./consume.ts";
import type { Gate } from "./crashes/gate.ts";
import { trialText } from "./crashes/letter.ts";
import type { Predecessor } from "./crashes/suspects.ts";
import type { Trials } from "./crashes/trials.ts";
import type { Entries } from "./entries.ts";
import type { HandlerState } from "./facts.ts";
import type { Surroundings } from "./handle.ts";
import type { Identities } from "./identities/identities.ts";
import { holderWhenKnown } from "./ledger/holder.ts";
import { consumerName, type Place, placeOf } from "./ledger/place.ts";
import type { InputRecord } from "./ledger/record.ts";
import { createPause } from "./pause.ts";
import { notHere } from "./rebuild/rebuild.ts";
import { type AtStart, createTurns, type Work } from "./rebuild/turns.ts";
import type { ErrorFacts } from "./retry/parcel.ts";
import type { Defaults } from "./scope.ts";
import { signal } from "./signal.ts";
import { needsOwnSession } from "./swap.ts";
import { takeInput } from "./take-input.ts";
import { openTenure, type Tenure } from "./tenure.ts";
import { createTroubles } from "./troubles.ts";

export interface RunnerParts {
  readonly broker: Broker;
  readonly instance: string;
  readonly defaults: Defaults;
  readonly around: Surroundings;
  readonly identitiesOf: (stream: string) => Promise<Identities>;
  readonly committerOf: (stream: string) => Committer;
  /** Undefined for one that folds no entries: it keeps the compacted home. */
  readonly openEntries: (projection: Projection) => Promise<Entries | undefined>;
  /** Makes the runtime's streams where they are gone. */
  readonly ensureStreams: () => Promise<void>;
  readonly explain: (thrown: unknown) => ErrorFacts;
  /** Where handlers take turns that try what may have ended the process. */
  readonly gate: Gate;
  /** What has to be over before it may start: an earlier runner of the same name. */
  readonly after: Promise<void>;
  /** What a projection whose entries were folded by another version does before it consumes. */
  readonly atStart: AtStart;
}

export interface Runner {
  readonly handler: Handler;
  readonly state: HandlerState;
  readonly detail: string | undefined;
  readonly place: Place;
  readonly inFlight: number;
  /** The next event meets this version. */
  swap(handler: Handler): Promise<void>;
  /** Lets what is under way finish and does work on the entries, while nothing is consumed; `next` runs from then on. */
  turn(work: Work, next?: Handler): Promise<void>;
  /** What a projection's entries were folded by. */
  readonly shape: string | undefined;
  /** Moves an idle handler's floor up to a position, where it has read all of its events up to there. Gives back up
   * to where nothing is needed any more: events that it has not handled, or the record that says which it has. */
  raiseFloor(to: number): Promise<number>;
  /** All positions up to here are completed and stored; 0 while not running. */
  readonly floor: number;
  readonly holdsKeys: boolean;
  /** Stores again what its held keys need below a position; the sequence below which none needs anything. */
  keepHeld(above: number): Promise<number>;
  /** Lets what is under way finish and consumes no more. */
  stop(): Promise<void>;
}

/** Why a session ends. A swap and a stop let what runs finish first. */
type End = "again" | "lost" | "swap" | "stop";

type Life =
  | { readonly state: "starting" | "standby" | "stopped" }
  | {
      readonly state: "running";
      readonly tenure: Tenure;
      end(why: End): void;
    };

const aside = { ref: false };
const endMs = 500; // for the record of a stop, after all else had its time
const raiseMs = 3_000; // a full stream takes no record, and whoever wants to cut its head must not wait for one

export function startRunner(first: Handler, parts: RunnerParts): Runner {
  const { broker, around, instance } = parts;
  const home = broker.home;
  const durableName = consumerName(broker.app, first.name);
  const place = placeOf(first, broker);
  const troubles = createTroubles(around.report, first.name);
  let handler = first;
  let life: Life = { state: "starting" };
  let detail: string | undefined;
  let stopping = false;
  const turns = createTurns(broker, place, parts.atStart);
  const idle = createPause();
  let remembered: InputRecord | undefined; // how far this process has come
  let hadIt = false; // and nobody was stood by for since
  let before: Predecessor | undefined; // who held the ledger before this process
  const loop = run();

  async function run(): Promise<void> {
    await parts.after;
    for (let waitMs = 100; !stopping; ) {
      try {
        const ended = await live();
        waitMs = 100;
        if (ended !== "lost" || stopping) continue;
        await standBy();
        hadIt = false;
      } catch (error) {
        change({ state: "starting" });
        detail = describeThrown(error).message;
        say("starting", detail);
        const message = `${handler.name} does not run: ${detail}; it is tried again`;
        troubles.say("EDDY_HANDLER_STALLED", message);
        await idle.wait(waitMs);
        waitMs = Math.min(waitMs * 2, 2_000);
      }
    }
  }

  // One take-over and the session that follows, until it has to end.
  async function live(): Promise<End> {
    change({ state: "starting" });
    const prepared = handler; // it may be swapped meanwhile: `follow` compares
    await parts.ensureStreams();
    const { declaration } = prepared;
    const entries =
      declaration.kind === "projection" ? await parts.openEntries(declaration) : undefined;
    // It may have been frozen, or cut off, for long: whoever has taken over meanwhile keeps it.
    if (hadIt && (await holderNow()) === "another") return "lost";
    const streams = inputsOf(handler, home);
    const took = await turns.take(await take(streams), entries, handler);
    hadIt = true;
    if (took === undefined) return "again";
    const ended = signal<End>();
    const tenure = await openTenure({
      ...{ runner: parts, place, took, streams, before, entries, prepared },
      handler: () => handler,
      onLost: () => ended.resolve("lost"),
      onBroken(code, why) {
        troubles.say(code, `${handler.name}: ${why}. It takes over again`);
        ended.resolve("again");
      },
    });
    try {
      if (took.record.joining !== undefined) return await tenure.join(() => stopping);
      await tenure.read();
      change({ state: "running", tenure, end: ended.resolve });
      if (tenure.trials !== undefined) sayTrials(tenure.trials);
      troubles.mended(`${handler.name} runs again`);
      if (stopping) ended.resolve("stop");
      else await follow(prepared);
      const why = await ended.promise;
      if (why !== "swap" && why !== "stop") return await afterBreak(why);
      await tenure.finish();
      // Also where it was cut off: what ran did not end the process.
      if (why === "stop") await Promise.race([tenure.close(), pause(endMs, undefined, aside)]);
      return why;
    } finally {
      await tenure.end();
      remembered = tenure.scope.ledger.inputs[0];
    }
  }

  function take(streams: readonly string[]) {
    return takeInput(handler, {
      ...{ broker, place, streams, instance, durableName, remembered },
      onBefore(found) {
        before = found;
      },
      onMissed: (why) => troubles.say("EDDY_HEAD_GONE", `${handler.name}: ${why}`),
    });
  }

  function holderNow() {
    return holderWhenKnown(broker, place, instance, idle.wait, () => stopping);
  }

  function sayTrials({ count, over }: Trials): void {
    detail = trialText(count, before?.died === true ? before.instance : undefined);
    say("running", detail);
    void over.then(() => {
      detail = undefined;
      say("running");
    });
  }

  // Another instance that took over winds the consumer: this one sees a gap before it sees a refused batch.
  async function afterBreak(why: End): Promise<End> {
    const holder = await holderNow();
    if (holder === "unknown") return why;
    return holder === "another" ? "lost" : "again";
  }

  // Another filter changes what is delivered: the consumer is taken over anew, from the same position.
  async function follow(before: Handler): Promise<void> {
    if (life.state !== "running" || before === handler) return;
    if (needsOwnSession(before, handler)) life.end("swap");
    // Metadata only: the next start writes it again.
    else await describeConsumers().catch(() => undefined);
  }

  async function describeConsumers(): Promise<void> {
    const config = consumerConfig(broker, handler, instance, parts.defaults.deadlineMs);
    for (const stream of inputsOf(handler, home)) await ensureConsumer(broker.jsm, stream, config);
  }

  async function standBy(): Promise<void> {
    turns.refuse(notHere(handler));
    change({ state: "standby" });
    detail = "another instance of the app took the handler over";
    say("standby", detail);
    await untilNobodyPulls(broker, home, durableName, idle.wait, () => stopping);
  }

  function change(next: Life): void {
    life = next;
    if (next.state !== "standby") detail = undefined;
    if (next.state === "running" || next.state === "stopped") say(next.state);
  }

  function say(state: HandlerState, text?: string): void {
    const { name, version } = handler;
    const more = text === undefined ? {} : { detail: text };
    around.report({ kind: "handler", handler: name, version, state, ...more });
  }

  return {
    get handler() {
      return handler;
    },
    get state() {
      return life.state;
    },
    get detail() {
      return detail;
    },
    place,
    get inFlight() {
      return life.state === "running" ? life.tenure.session.inFlight : 0;
    },
    async swap(next) {
      const before = handler;
      handler = next;
      say(life.state);
      await follow(before);
    },
    turn(work, next) {
      const done = turns.ask(work, () => {
        handler = next ?? handler;
      });
      if (life.state === "running") life.end("swap");
      return done;
    },
    get shape() {
      return turns.shape;
    },
    async raiseFloor(to) {
      if (life.state !== "running") return 0;
      const { session, scope } = life.tenure;
      const info = await consumerInfo(broker.jsm, home, durableName);
      if (info === undefined || !session.intakes[0].raise(to, info)) return floorOf(life.tenure);
      session.recordProgress();
      await Promise.race([scope.committer.settled(), pause(raiseMs, undefined, aside)]);
      const { lastSeq } = scope.ledger;
      return Math.max(floorOf(life.tenure), place.stream === home ? Math.min(to, lastSeq - 1) : to);
    },
    get holdsKeys() {
      return life.state === "running" && (life.tenure.scope.held?.size ?? 0) > 0;
    },
    async keepHeld(above) {
      if (life.state !== "running") return above;
      return (await life.tenure.scope.held?.keepAbove(above)) ?? above;
    },
    get floor() {
      return life.state === "running" ? floorOf(life.tenure) : 0;
    },
    async stop() {
      stopping = true;
      idle.wake();
      if (life.state === "running") life.end("stop");
      await loop;
      turns.refuse(notHere(handler));
      change({ state: "stopped" });
    },
  };
}

/** In the home stream. */
function floorOf({ scope }: Tenure): number {
  return scope.ledger.inputs[0]?.floor ?? 0;
}

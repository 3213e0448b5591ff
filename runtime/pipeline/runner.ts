// One handler from start to stop: take-over, session, and again whenever the ground moves under it.
// Owns the handler's state. A running one has the ledger's fence and is the only puller of its consumer.
// R1 A session's ledger is given up and its last unit settled before the next take-over.
// R2 What is made for a session goes with it, however it ends.
import type { Handler } from "../authoring/index.ts";
import {
  type Broker,
  consumerInfo,
  ensureConsumer,
  type JsMsg,
  readDurable,
  readMessage,
} from "../broker/index.ts";
import { describeThrown, EddyError } from "../events/index.ts";
import type { Committer } from "./commit.ts";
import { consumerConfig, filterOf, startOf, untilNobodyPulls, watchPullers } from "./consume.ts";
import type { Entries, OpenEntries } from "./entries.ts";
import type { HandlerState } from "./facts.ts";
import type { Surroundings } from "./handle.ts";
import { createHeldKeys } from "./held/keys.ts";
import { loadHeld } from "./held/load.ts";
import { policyOf } from "./held/states.ts";
import type { Identities } from "./identities/identities.ts";
import { createFloor } from "./ledger/floor.ts";
import { holdLedger, type Ledger } from "./ledger/ledger.ts";
import { consumerName, type Place, placeOf } from "./ledger/place.ts";
import { decodeRecord, type InputRecord } from "./ledger/record.ts";
import { takeOver } from "./ledger/takeover.ts";
import { startDue } from "./retry/due.ts";
import type { ErrorFacts } from "./retry/parcel.ts";
import type { Defaults, Scope } from "./scope.ts";
import { type Session, startSession } from "./session.ts";
import { unlessCut } from "./stopping.ts";
import { createTroubles } from "./troubles.ts";
import { untilAnswered } from "./until-answered.ts";

export interface RunnerParts {
  readonly broker: Broker;
  readonly instance: string;
  readonly defaults: Defaults;
  readonly around: Surroundings;
  readonly identities: Identities;
  readonly committerOf: (stream: string) => Committer;
  readonly openEntries: OpenEntries;
  /** Makes the runtime's streams where they are gone. */
  readonly ensureStreams: () => Promise<void>;
  readonly explain: (thrown: unknown) => ErrorFacts;
  /** What has to be over before it may start: an earlier runner of the same name. */
  readonly after: Promise<void>;
}

export interface Runner {
  readonly handler: Handler;
  readonly state: HandlerState;
  readonly detail: string | undefined;
  readonly place: Place;
  readonly inFlight: number;
  /** The next event meets this version. */
  swap(handler: Handler): Promise<void>;
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
      readonly session: Session;
      readonly scope: Scope;
      end(why: End): void;
    };

const raiseMs = 3_000; // a full stream takes no record, and whoever wants to cut its head must not wait for one

export function startRunner(first: Handler, parts: RunnerParts): Runner {
  const { broker, around, instance } = parts;
  const home = broker.home;
  const durableName = consumerName(broker.app, first.name);
  const place = placeOf(first, broker.app, home);
  const troubles = createTroubles(around.report, first.name);
  let handler = first;
  let life: Life = { state: "starting" };
  let detail: string | undefined;
  let stopping = false;
  let wake = () => {};
  let remembered: InputRecord | undefined; // how far this process has come
  const loop = run();

  async function run(): Promise<void> {
    await parts.after;
    for (let waitMs = 100; !stopping; ) {
      try {
        const ended = await live();
        waitMs = 100;
        if (ended === "lost" && !stopping) await standBy();
      } catch (error) {
        change({ state: "starting" });
        detail = describeThrown(error).message;
        say("starting", detail);
        const message = `${handler.name} does not run: ${detail}; it is tried again`;
        troubles.say("EDDY_HANDLER_STALLED", message);
        await pause(waitMs);
        waitMs = Math.min(waitMs * 2, 2_000);
      }
    }
  }

  // One take-over and the session that follows, until it has to end.
  async function live(): Promise<End> {
    change({ state: "starting" });
    await parts.ensureStreams();
    const entries = await entriesOf(handler);
    const input = await take();
    parts.identities.follow(input.createdMs);
    const ended = signal<End>();
    const floor = createFloor<JsMsg>(input);
    const { record, seq } = input;
    const onLost = () => ended.resolve("lost");
    const ledger = holdLedger(
      { place, record, seq, onLost, onStored: () => session.settle() },
      floor,
    );
    const scope = makeScope(ledger, entries);
    const loaded = await loadHeld({
      broker,
      place,
      handler: handler.name,
      ledgerSeq: input.seq,
      policy: policyOf(handler.declaration.options),
    });
    if (loaded !== undefined) scope.held = createHeldKeys(scope, loaded);
    const breaks = (code: string, why: string) => {
      troubles.say(code, `${handler.name}: ${why}. It takes over again`);
      ended.resolve("again");
    };
    const session = startSession({
      scope,
      floor,
      identities: parts.identities,
      input,
      onGap: (due, got) => breaks("EDDY_DELIVERY_GAP", `delivery ${got} came where ${due} was due`),
    });
    const closing: (() => void)[] = [];
    try {
      const prepared = handler;
      await ensureConsumer(broker.jsm, home, configOf(prepared));
      await windTo(input.floor + 1);
      const read = await readDurable(broker, home, durableName, session.take);
      closing.push(read.stop);
      void read.broken.then((why) => breaks("EDDY_CONSUMER_BROKEN", why));
      const { takeAgain } = session;
      const due = startDue({ scope, floor: () => ledger.input.floor, takeAgain });
      closing.push(due.stop, due.end);
      const received = () => session.received;
      const onForeign = (why: string) => breaks("EDDY_DELIVERY_GAP", why);
      const watched = { broker, name: durableName, instance, received, onForeign };
      closing.push(watchPullers(watched));
      change({ state: "running", session, scope, end: ended.resolve });
      troubles.mended(`${handler.name} runs again`);
      if (stopping) ended.resolve("stop");
      else await follow(prepared); // it may have been swapped meanwhile
      const why = await ended.promise;
      if (why === "swap" || why === "stop") {
        read.stop();
        due.stop();
        await unlessCut(around.stopping, session.finished());
        await unlessCut(around.stopping, scope.committer.settled());
        return why;
      }
      return await holder(why);
    } finally {
      ledger.giveUp();
      session.end();
      for (const close of closing) close();
      await unlessCut(around.stopping, scope.committer.settled());
      remembered = ledger.input;
    }
  }

  async function take() {
    const start = startOf(handler);
    const taken = await takeOver(broker, { place, input: home, instance, start, earlier });
    const [input] = taken.record.inputs;
    if (input === undefined) throw new RangeError("a ledger has at least one input");
    if (taken.missed !== undefined) {
      const { from, to } = taken.missed;
      const text = `positions ${from} to ${to} of ${home} were removed before it saw them`;
      troubles.say("EDDY_HEAD_GONE", `${handler.name}: ${text}`);
    }
    return { ...input, record: taken.record, seq: taken.seq };
  }

  // A projection without its ledger has lost its entries as well: it begins anew.
  async function earlier(createdMs: number): Promise<InputRecord | undefined> {
    if (handler.declaration.kind === "projection") return undefined;
    if (remembered !== undefined) return remembered;
    const info = await consumerInfo(broker.jsm, home, durableName);
    if (info?.config.metadata?.["eddy.kind"] !== "reaction") return undefined;
    return { stream: home, createdMs, floor: info.ack_floor.stream_seq, above: [] };
  }

  async function windTo(seq: number): Promise<void> {
    const reset = await broker.jsm.consumers.reset(home, durableName, seq);
    if (reset.name !== durableName) throw new Error(`consumer ${durableName} was not reset`);
  }

  // Another instance that took over winds the consumer: this one sees a gap before it sees a refused batch.
  async function holder(why: End): Promise<End> {
    try {
      const last = await readMessage(broker.nc, place.stream, { last_by_subj: place.ledger });
      if (last === undefined) return "again"; // the ledger is gone, and nobody's
      return decodeRecord(last.data).instance === instance ? "again" : "lost";
    } catch (error) {
      return error instanceof EddyError && error.code === "EDDY_LEDGER_UNREADABLE" ? "lost" : why;
    }
  }

  async function entriesOf({ declaration }: Handler): Promise<Entries | undefined> {
    return declaration.kind === "projection" ? await parts.openEntries(declaration) : undefined;
  }

  function makeScope(ledger: Ledger, entries: Entries | undefined): Scope {
    const scope: Scope = {
      broker,
      around,
      defaults: parts.defaults,
      ledger,
      committer: parts.committerOf(place.stream),
      ...(entries === undefined ? {} : { entries: { ...entries, read: (key) => read(key) } }),
      handler: () => handler,
      ensureStreams: parts.ensureStreams,
      explain: parts.explain,
      alive: () => ledger.held,
    };
    // A store that does not answer is no fault of the event: it costs neither an attempt nor the order of its key.
    const read = (key: string) =>
      untilAnswered(scope, "EDDY_ENTRY_NOT_READ", async () => await entries?.read(key));
    return scope;
  }

  const configOf = (of: Handler) =>
    consumerConfig(broker.app, of, instance, parts.defaults.deadlineMs);

  // Another filter changes what is delivered: the consumer is taken over anew, from the same position.
  async function follow(before: Handler): Promise<void> {
    if (life.state !== "running" || before === handler) return;
    const orders = (of: Handler) => of.declaration.options.ordered === true;
    if (filterOf(before) !== filterOf(handler) || orders(before) !== orders(handler))
      life.end("swap");
    // Metadata only: the next start writes it again.
    else await ensureConsumer(broker.jsm, home, configOf(handler)).catch(() => undefined);
  }

  async function standBy(): Promise<void> {
    change({ state: "standby" });
    detail = "another instance of the app took the handler over";
    say("standby", detail);
    await untilNobodyPulls(broker, durableName, pause, () => stopping);
  }

  function pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
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
      return life.state === "running" ? life.session.inFlight : 0;
    },
    async swap(next) {
      const before = handler;
      handler = next;
      say(life.state);
      await follow(before);
    },
    async raiseFloor(to) {
      if (life.state !== "running") return 0;
      const { session, scope } = life;
      const info = await consumerInfo(broker.jsm, home, durableName);
      if (info === undefined || !session.raise(to, info)) return scope.ledger.input.floor;
      await Promise.race([scope.committer.settled(), pauseAside(raiseMs)]);
      const { input, lastSeq } = scope.ledger;
      return Math.max(input.floor, place.stream === home ? Math.min(to, lastSeq - 1) : to);
    },
    get holdsKeys() {
      return life.state === "running" && (life.scope.held?.size ?? 0) > 0;
    },
    async keepHeld(above) {
      if (life.state !== "running") return above;
      return (await life.scope.held?.keepAbove(above)) ?? above;
    },
    get floor() {
      return life.state === "running" ? life.scope.ledger.input.floor : 0;
    },
    async stop() {
      stopping = true;
      wake();
      if (life.state === "running") life.end("stop");
      await loop;
      change({ state: "stopped" });
    },
  };
}

function pauseAside(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}

function signal<T>() {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((done) => {
    resolve = done;
  });
  return { promise, resolve: (value: T) => resolve(value) };
}

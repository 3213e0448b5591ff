// One handler from start to stop: take-over, session, and again whenever the ground moves under it.
// Owns the handler's state. A running one has the ledger's fence and is the only puller of its consumer.
// R1 A session's last unit is settled before the next take-over reads the ledger.
// R2 Standby takes over only from an instance that no longer pulls.
import { type Handler, listOf, parseDuration } from "../authoring/index.ts";
import {
  AckPolicy,
  type Broker,
  type ConsumerMessages,
  consumerInfo,
  durable,
  ensureConsumer,
  isMissing,
  type JsMsg,
  nanos,
  readMessage,
} from "../broker/index.ts";
import { describeThrown, narrowestFilter } from "../events/index.ts";
import type { Committer } from "./commit.ts";
import type { OpenEntries } from "./entries.ts";
import type { HandlerState } from "./facts.ts";
import type { Surroundings } from "./handle.ts";
import type { Identities } from "./identities/index-reader.ts";
import { createFloor, type Floor } from "./ledger/floor.ts";
import { holdLedger, type Ledger } from "./ledger/ledger.ts";
import { consumerName, type Place, placeOf } from "./ledger/place.ts";
import { decodeRecord } from "./ledger/record.ts";
import { takeOver } from "./ledger/takeover.ts";
import type { ErrorFacts } from "./retry/parcel.ts";
import type { Defaults, Job, Scope } from "./scope.ts";
import { ackWaitMs, type Session, startSession } from "./session.ts";

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
}

export interface Runner {
  readonly handler: Handler;
  readonly state: HandlerState;
  readonly detail: string | undefined;
  readonly place: Place;
  readonly inFlight: number;
  /** The next event meets this version. */
  swap(handler: Handler): Promise<void>;
  /** Hands a job that came back to the running session; undefined where there is none. */
  scope(): Scope | undefined;
  takeAgain(job: Job): void;
  /** Moves an idle handler's floor up to a position, where it has read all of its events up to there. */
  raiseFloor(to: number): Promise<void>;
  /** All positions up to here are completed and stored; 0 while not running. */
  readonly floor: number;
  /** Lets what is in flight finish and consumes no more. */
  stop(): Promise<void>;
}

type Life =
  | { readonly state: "starting" | "standby" | "stopped" }
  | {
      readonly state: "running";
      readonly session: Session;
      readonly scope: Scope;
      readonly floor: Floor<JsMsg>;
      readonly messages: ConsumerMessages;
      end(): void;
    };

/** Un-acked deliveries that the server lets a handler have: the bound on what is in flight. */
const maxAckPending = 16_384;

export function startRunner(first: Handler, parts: RunnerParts): Runner {
  const { broker, around } = parts;
  const home = broker.home;
  const durableName = consumerName(broker.app, first.name);
  const place = placeOf(first, broker.app, home);
  let handler = first;
  let life: Life = { state: "starting" };
  let detail: string | undefined;
  let stopping = false;
  let wake = () => {};
  const loop = run();

  async function run(): Promise<void> {
    for (let waitMs = 100; !stopping; ) {
      try {
        const ended = await live();
        waitMs = 100;
        if (ended === "lost" && !stopping) await standBy();
      } catch (error) {
        detail = describeThrown(error).message;
        say("starting", detail);
        trouble(
          "EDDY_HANDLER_STALLED",
          `${handler.name} does not run: ${detail}; it is tried again`,
        );
        await pause(waitMs);
        waitMs = Math.min(waitMs * 2, 2_000);
      }
    }
  }

  // One take-over and the session that follows, until it has to end.
  async function live(): Promise<"again" | "lost" | "stopped"> {
    change({ state: "starting" });
    await parts.ensureStreams();
    const { declaration } = handler;
    const entries =
      declaration.kind === "projection" ? await parts.openEntries(declaration) : undefined;
    const start =
      declaration.options.start ?? (declaration.kind === "projection" ? "first" : "now");
    const taken = await takeOver(broker, place, home, start, parts.instance);
    const [input] = taken.record.inputs;
    if (input === undefined) throw new RangeError("a ledger has at least one input");
    if (taken.missed !== undefined) {
      const { from, to } = taken.missed;
      trouble(
        "EDDY_HEAD_GONE",
        `${handler.name}: positions ${from} to ${to} of ${home} were removed before it saw them`,
      );
    }
    const floor = createFloor<JsMsg>(input);
    const committer = parts.committerOf(place.stream);
    const ended = signal<"again" | "lost">();
    const ledger = holdLedger(
      { place, record: taken.record, seq: taken.seq, onLost: () => ended.resolve("lost") },
      floor,
    );
    const scope = makeScope(ledger, committer, entries);
    const session = startSession({
      scope,
      floor,
      identities: parts.identities,
      stream: home,
      onGap(expected, got) {
        trouble(
          "EDDY_DELIVERY_GAP",
          `${handler.name}: delivery ${got} came where ${expected} was due: somebody else reads its consumer, or the server lost its state. The handler takes over again`,
        );
        ended.resolve("again");
      },
    });
    const filter = filterOf(handler);
    await prepareConsumer();
    const reset = await broker.jsm.consumers.reset(home, durableName, input.floor + 1);
    if (reset.name !== durableName) throw new Error(`consumer ${durableName} was not reset`);
    const messages = await consume(session, (why) => {
      trouble("EDDY_CONSUMER_BROKEN", `${handler.name}: ${why}; it takes over again`);
      ended.resolve("again");
    });
    change({
      state: "running",
      session,
      scope,
      floor,
      messages,
      end: () => ended.resolve("again"),
    });
    mendedAll();
    if (stopping || filterOf(handler) !== filter) ended.resolve("again"); // stopped or swapped meanwhile
    const why = await ended.promise;
    await endSession(session, ledger, committer, messages, why);
    if (stopping) return "stopped";
    return why === "lost" || (await heldByAnother()) ? "lost" : "again";
  }

  async function endSession(
    session: Session,
    ledger: Ledger,
    committer: Committer,
    messages: ConsumerMessages,
    why: "again" | "lost",
  ): Promise<void> {
    messages.stop();
    if (stopping && why !== "lost") {
      await Promise.race([session.drained(), aborted(around.stopping)]);
      await Promise.race([committer.settled(), aborted(around.stopping)]);
    }
    ledger.giveUp();
    session.end();
    if (!stopping) await committer.settled();
  }

  // Another instance that took over resets the consumer: this one sees a gap before it sees a refused batch.
  async function heldByAnother(): Promise<boolean> {
    const last = await readMessage(broker.nc, place.stream, { last_by_subj: place.ledger }).catch(
      () => undefined,
    );
    return last !== undefined && decodeRecord(last.data).instance !== parts.instance;
  }

  function makeScope(ledger: Ledger, committer: Committer, entries: Scope["entries"]): Scope {
    return {
      broker,
      around,
      defaults: parts.defaults,
      ledger,
      committer,
      ...(entries === undefined ? {} : { entries }),
      handler: () => handler,
      explain: parts.explain,
      alive: () => ledger.held,
    };
  }

  async function prepareConsumer(): Promise<void> {
    const { declaration, file, version, name } = handler;
    const deadlineMs = parseDuration(declaration.options.deadline) ?? parts.defaults.deadlineMs;
    await ensureConsumer(broker.jsm, home, {
      ...durable,
      durable_name: durableName,
      ack_policy: AckPolicy.All,
      ack_wait: nanos(ackWaitMs(deadlineMs)),
      max_ack_pending: maxAckPending,
      filter_subject: filterOf(handler),
      metadata: {
        "eddy.handler": name,
        "eddy.kind": declaration.kind,
        "eddy.file": file,
        "eddy.version": version,
      },
    });
  }

  async function consume(
    session: Session,
    broken: (why: string) => void,
  ): Promise<ConsumerMessages> {
    const consumer = await broker.js.consumers.get(home, durableName);
    const messages = await consumer.consume({
      max_messages: 2_000,
      expires: 5_000,
      idle_heartbeat: 1_000,
      abort_on_missing_resource: true,
      callback: (message) => session.take(message),
    });
    void watch(messages, broken);
    return messages;
  }

  async function watch(messages: ConsumerMessages, broken: (why: string) => void): Promise<void> {
    void messages.closed().then((error) => {
      if (error instanceof Error) broken(error.message);
    });
    for await (const status of messages.status()) {
      if (isMissing(status)) broken(`its consumer is gone (${status.type})`);
      else if (status.type === "heartbeats_missed" && status.count >= 3)
        broken("no heartbeats from the server");
    }
  }

  // Another instance has the ledger. It is left alone while it pulls.
  async function standBy(): Promise<void> {
    change({ state: "standby" });
    detail = "another instance of the app took the handler over";
    say("standby", detail);
    for (let silent = 0; !stopping && silent < 3; ) {
      await pause(1_000);
      const info = await consumerInfo(broker.jsm, home, durableName).catch(() => null);
      if (info !== null) silent = info === undefined || info.num_waiting === 0 ? silent + 1 : 0;
    }
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
    if (next.state !== "standby") {
      detail = undefined;
      if (next.state !== "starting") say(next.state);
    }
  }

  function say(state: HandlerState, text?: string): void {
    const { name, version } = handler;
    const more = text === undefined ? {} : { detail: text };
    around.report({ kind: "handler", handler: name, version, state, ...more });
  }

  const troubles = new Set<string>();

  function trouble(code: string, message: string): void {
    if (troubles.has(code)) return;
    troubles.add(code);
    around.report({ kind: "trouble", code, about: handler.name, message });
  }

  function mendedAll(): void {
    for (const code of troubles) {
      around.report({
        kind: "mended",
        code,
        about: handler.name,
        message: `${handler.name} runs again`,
      });
    }
    troubles.clear();
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
      if (life.state !== "running") return;
      // Another filter changes what is delivered: the consumer must be taken over anew, from the same position.
      if (filterOf(before) !== filterOf(next)) life.end();
      else await prepareConsumer().catch(() => undefined); // metadata only: the next start writes it again
    },
    scope: () => (life.state === "running" ? life.scope : undefined),
    takeAgain(job) {
      if (life.state === "running") life.session.takeAgain(job);
    },
    async raiseFloor(to) {
      if (life.state !== "running") return;
      const { floor, scope, session } = life;
      const info = await consumerInfo(broker.jsm, home, durableName);
      if (
        info?.num_pending !== 0 ||
        session.inFlight > 0 ||
        info.delivered.stream_seq > floor.lastDelivered
      )
        return;
      floor.raise(to);
      await new Promise<void>((resolve) => {
        const onStored = () => {
          floor.advance();
          resolve();
        };
        scope.committer.submit({
          ledger: scope.ledger,
          settlement: {},
          messages: [],
          onStored,
          onRefused: () => resolve(),
        });
        scope.committer.settled().then(resolve);
      });
    },
    get floor() {
      return life.state === "running" ? life.floor.passed : 0;
    },
    async stop() {
      stopping = true;
      wake();
      if (life.state === "running") life.end();
      await loop;
      change({ state: "stopped" });
    },
  };
}

function filterOf({ declaration }: Handler): string {
  return narrowestFilter(listOf(declaration.from).map((type) => type.type));
}

function signal<T>() {
  let resolve: (value: T) => void = () => {};
  const promise = new Promise<T>((done) => {
    resolve = done;
  });
  return { promise, resolve: (value: T) => resolve(value) };
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) =>
    signal.addEventListener("abort", () => resolve(), { once: true }),
  );
}

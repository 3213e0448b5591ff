// What comes with a ledger while one instance holds it: its session, a reading of each of its streams, the suspects of a
// crash, and what comes back. Opened after a take-over; one at a time for each handler.
// T1 What is made for it goes with it, however it ends. T2 Nothing comes from a stream or comes back before the suspects of a crash were tried.
import type { Handler } from "../authoring/index.ts";
import type { Delivery } from "../broker/index.ts";
import { storeEnd } from "./crashes/note.ts";
import type { Predecessor } from "./crashes/suspects.ts";
import { startTrials, type Trials } from "./crashes/trials.ts";
import type { Entries } from "./entries.ts";
import { createHeldKeys } from "./held/keys.ts";
import { loadHeld } from "./held/load.ts";
import { policyOf } from "./held/states.ts";
import type { Input } from "./intake.ts";
import { createFloor } from "./ledger/floor.ts";
import { holdLedger, type Ledger } from "./ledger/ledger.ts";
import type { Place } from "./ledger/place.ts";
import type { InputRecord } from "./ledger/record.ts";
import { type Reading, startReading } from "./reading.ts";
import type { Took } from "./rebuild/turns.ts";
import { type DueReader, startDue } from "./retry/due.ts";
import type { RunnerParts } from "./runner.ts";
import type { Scope } from "./scope.ts";
import { type Session, startSession } from "./session.ts";
import { joinFromState } from "./state/join.ts";
import { unlessCut } from "./stopping.ts";
import { untilAnswered } from "./until-answered.ts";

export interface Tenure {
  readonly scope: Scope;
  readonly session: Session;
  readonly trials: Trials | undefined;
  /** Folds the compacted home, where the ledger says so. Then the ledger is to be taken over again. */
  join(stopped: () => boolean): Promise<"again" | "lost">;
  /** Starts to read. */
  read(): Promise<void>;
  /** Reads no more, and lets what runs finish. */
  finish(): Promise<void>;
  /** Records that the process stops by itself. */
  close(): Promise<boolean>;
  /** Gives the ledger up: what is in flight changes nothing any more. */
  end(): Promise<void>;
}

export interface TenureParts {
  readonly runner: RunnerParts;
  readonly place: Place;
  readonly took: Took;
  /** The streams that are read, the home stream first. */
  readonly streams: readonly string[];
  /** Who held the ledger before this process. */
  readonly before: Predecessor | undefined;
  readonly entries: Entries | undefined;
  /** The version that it is opened for, and the one that runs. */
  readonly prepared: Handler;
  readonly handler: () => Handler;
  readonly onLost: () => void;
  /** The ground has moved: it is to be taken over again. */
  readonly onBroken: (code: string, why: string) => void;
}

const heldBytesMax = 16 * 2 ** 20; // of events that are not settled: a slow one holds up no other before

export async function openTenure(parts: TenureParts): Promise<Tenure> {
  const { runner, place, took, prepared, handler, onBroken } = parts;
  const { broker, around, instance, defaults } = runner;
  const { record, seq } = took;
  const inputs = await openInputs(parts);
  const readings: Reading[] = [];
  const onStored = () => {
    session.settle();
    for (const reading of readings) reading.more();
  };
  const floors = inputs.map(({ floor }) => floor);
  const ledger = holdLedger({ place, record, seq, onLost: parts.onLost, onStored }, floors);
  const scope = makeScope(parts, ledger);
  const policy = policyOf(prepared.declaration.options);
  const of = { broker, place, handler: prepared.name, ledgerSeq: seq, policy };
  const loaded = await loadHeld(of);
  if (loaded !== undefined) scope.held = createHeldKeys(scope, loaded);
  const onGap = (stream: string, due: number, got: number) =>
    onBroken("EDDY_DELIVERY_GAP", `delivery ${got} of ${stream} came where ${due} was due`);
  const session = startSession({ scope, inputs, onGap });
  const trials = startTrials(scope, session, record.inputs);
  const after = trials?.over ?? Promise.resolve();
  let trying = trials !== undefined;
  let over = false;
  let due: DueReader | undefined;
  void after.then(() => {
    trying = false;
    scope.held?.goOn();
  });

  async function readSome(isWanted: (stream: string) => boolean): Promise<void> {
    for (const [at, intake] of session.intakes.entries()) {
      if (!isWanted(intake.stream)) continue;
      const reading = await startReading({
        ...{ broker, instance, prepared, handler, intake, onBroken },
        deadlineMs: defaults.deadlineMs,
        trial: trials?.of(intake.stream),
        floor: (record.inputs[at] as InputRecord).floor,
        hasRoom: () => session.heldBytes < heldBytesMax,
        isTrying: () => trying,
      });
      if (over) reading.end();
      readings.push(reading);
    }
  }

  // Those without suspects: nothing of them may run before.
  async function readOthers(): Promise<void> {
    await after;
    if (over) return;
    await readSome((stream) => trials?.of(stream) === undefined).catch((error: unknown) =>
      onBroken("EDDY_CONSUMER_BROKEN", String(error)),
    );
  }

  function stopReading(): void {
    over = true;
    for (const reading of readings) reading.stop();
    due?.stop();
    trials?.end();
  }

  return {
    scope,
    session,
    trials,
    async join(stopped) {
      const input = { ...(record.inputs[0] as InputRecord), seq };
      return await joinFromState({ scope, session, input, stopped });
    },
    async read() {
      if (trials === undefined) await readSome(() => true);
      else {
        await readSome((stream) => trials.of(stream) !== undefined);
        void readOthers();
      }
      due = startDue({ scope, session, after });
    },
    async finish() {
      stopReading();
      await unlessCut(around.stopping, session.finished());
      await unlessCut(around.stopping, scope.committer.settled());
    },
    close: () => storeEnd(scope),
    async end() {
      ledger.giveUp();
      stopReading();
      session.end();
      for (const reading of readings) reading.end();
      due?.end();
      await unlessCut(around.stopping, scope.committer.settled());
    },
  };
}

async function openInputs({ runner, took, streams }: TenureParts): Promise<[Input, ...Input[]]> {
  const open = async (at: number): Promise<Input> => {
    const record = took.record.inputs[at] as InputRecord; // in the order of `streams`
    const { stream, createdMs } = record;
    const identities = await runner.identitiesOf(stream);
    identities.follow(createdMs);
    return { stream, createdMs, identities, floor: createFloor<Delivery>(record) };
  };
  const inputs: [Input, ...Input[]] = [await open(0)];
  for (let at = 1; at < streams.length; at++) inputs.push(await open(at));
  return inputs;
}

function makeScope({ runner, place, before, entries, handler }: TenureParts, ledger: Ledger) {
  const { broker, around, instance, defaults, gate } = runner;
  const { deathsMax } = defaults;
  const scope: Scope = {
    broker,
    around,
    defaults,
    crashes: { instance, deathsMax, gate, ...(before === undefined ? {} : { before }) },
    ledger,
    committer: runner.committerOf(place.stream),
    ...(entries === undefined ? {} : { entries: { ...entries, read: (key) => read(key) } }),
    handler,
    ensureStreams: runner.ensureStreams,
    explain: runner.explain,
    alive: () => ledger.held,
  };
  // A store that does not answer is no fault of the event: it costs neither an attempt nor the order of its key.
  const read = (key: string) =>
    untilAnswered(scope, "EDDY_ENTRY_NOT_READ", async () => await entries?.read(key));
  return scope;
}

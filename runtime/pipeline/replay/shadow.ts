// A shadow: a handler under another name, with a ledger and, for a projection, a bucket that only replays write.
// S1 A name that a handler has, or that anything else is kept under, is refused. S2 It goes on where it was; one that was made
// of something else is refused: its entries would be of two minds.
import type { Handler } from "../../authoring/index.ts";
import { type Broker, consumerInfo, streamInfo } from "../../broker/index.ts";
import { EddyError } from "../../events/index.ts";
import type { Entries, OpenEntries } from "../entries.ts";
import { type Counts, noCounts } from "../ledger/counts.ts";
import { consumerName, type Place, placeOf } from "../ledger/place.ts";
import type { UpTo } from "../log/moment.ts";
import type { LogRange } from "../log/read-log.ts";
import { createKeeper, type Found, type Keeper, markIn, readKept } from "./keeper.ts";

/** What a shadow is made of. */
export interface ShadowMark {
  readonly handler: string;
  readonly version: string;
  /** Where it began in the home stream. */
  readonly from: number;
  /** Where it began in the others, by stream. */
  readonly further?: Readonly<Record<string, number>>;
  readonly key: string | null;
}

/** A stream that it is made of. */
export interface ShadowInput {
  readonly range: LogRange;
  readonly createdMs: number;
}

export interface Shadow {
  readonly keeper: Keeper;
  readonly start: { readonly floors: UpTo; readonly counts: Readonly<Counts> };
  /** Of a projection. */
  readonly entries: Entries | undefined;
}

export async function openShadow(parts: {
  readonly broker: Broker;
  /** Under the shadow's name. */
  readonly handler: Handler;
  readonly of: Pick<ShadowMark, "handler" | "version" | "key">;
  /** The home stream first. */
  readonly inputs: readonly ShadowInput[];
  readonly openEntries: OpenEntries;
}): Promise<Shadow> {
  const { broker, handler, inputs, openEntries } = parts;
  const { name, declaration } = handler;
  const mark = { ...parts.of, ...beginningsOf(inputs) };
  const place = placeOf(handler, broker);
  if ((await consumerInfo(broker.jsm, broker.home, consumerName(broker.app, name))) !== undefined)
    throw taken(name, "a handler has this name");
  const found = await readKept(broker, place);
  const start = found.record === undefined ? undefined : goOn(name, found, mark, inputs);
  if (start === undefined && (await holdsMessages(broker, place)))
    throw taken(name, `the stream ${place.stream} holds something else`);
  const entries = declaration.kind === "projection" ? await openEntries(declaration) : undefined;
  const { floors, counts } = start ?? { floors: new Map<string, number>(), counts: noCounts() };
  const before = inputs.map(({ range: { stream }, createdMs }) => {
    return { stream, createdMs, floor: floors.get(stream) ?? 0 };
  });
  const keeper = createKeeper(broker, place, found, mark, before);
  return { keeper, start: { floors, counts }, entries };
}

function beginningsOf(inputs: readonly ShadowInput[]): Pick<ShadowMark, "from" | "further"> {
  const [from = 1, ...others] = inputs.map(({ range }) => range.from);
  if (others.length === 0) return { from };
  const names = inputs.slice(1).map(({ range }) => range.stream);
  return { from, further: Object.fromEntries(names.map((name, at) => [name, others[at] ?? 1])) };
}

async function holdsMessages(broker: Broker, { stream }: Place): Promise<boolean> {
  if (stream === broker.home) return false; // the ledger's subject alone is the shadow's
  return ((await streamInfo(broker.jsm, stream))?.state.messages ?? 0) > 0;
}

function goOn(
  name: string,
  { record }: Found,
  mark: ShadowMark,
  inputs: readonly ShadowInput[],
): Shadow["start"] {
  const before = record && markIn(record);
  if (record === undefined || before === undefined) throw taken(name, "a handler has kept it");
  const floors = new Map(record.inputs.map(({ stream, floor }) => [stream, floor]));
  for (const { range, createdMs } of inputs) {
    const { stream } = range;
    const kept = record.inputs.find((input) => input.stream === stream);
    const what = stream === inputs[0]?.range.stream ? "home stream" : `stream ${stream}`;
    if (kept?.createdMs !== createdMs)
      throw taken(name, `it was made of a ${what} that is not there any more`);
  }
  const changed = differences(before, mark) ?? gapBefore(before, inputs, floors);
  if (changed !== undefined) throw taken(name, `it was made ${changed}`);
  return { floors, counts: record.counts };
}

/** What it was made of where that is not what it is to go on with. */
function differences(
  before: Readonly<Record<string, unknown>>,
  { handler, version, key }: ShadowMark,
): string | undefined {
  if (before.handler !== handler) return `of the handler ${String(before.handler)}`;
  if (before.version !== version)
    return `by version ${String(before.version)}, and this is ${version}`;
  if ((before.key ?? null) === key) return undefined;
  return before.key === null ? "of all keys" : `of the key ${JSON.stringify(before.key)} only`;
}

/** Where it began and ended, where what is asked for does not begin in there, or right behind. */
function gapBefore(
  { from, further }: Readonly<Record<string, unknown>>,
  inputs: readonly ShadowInput[],
  floors: UpTo,
): string | undefined {
  for (const [at, { range }] of inputs.entries()) {
    const { stream } = range;
    const begun = Number(at === 0 ? from : Reflect.get(Object(further), stream));
    const floor = floors.get(stream) ?? 0;
    if (range.from >= begun && range.from <= floor + 1) continue;
    return at === 0 ? `from ${begun} to ${floor}` : `from ${stream}:${begun} to ${floor}`;
  }
  return undefined;
}

function taken(name: string, why: string): EddyError {
  const text = `--into ${name}: ${why}. Nothing was changed. Take another name, or remove what is there`;
  return new EddyError("EDDY_REPLAY_INTO", text, { name });
}

// A shadow: a handler under another name, with a ledger and, for a projection, a bucket that only replays write.
// S1 A name that a handler has, or that anything else is kept under, is refused. S2 It goes on where it was; one that was made
// of something else is refused: its entries would be of two minds.
import type { Handler } from "../../authoring/index.ts";
import { type Broker, consumerInfo, streamInfo } from "../../broker/index.ts";
import { EddyError } from "../../events/index.ts";
import type { Entries, OpenEntries } from "../entries.ts";
import { type Counts, noCounts } from "../ledger/counts.ts";
import { consumerName, type Place, placeOf } from "../ledger/place.ts";
import type { InputRecord } from "../ledger/record.ts";
import { createKeeper, type Found, type Keeper, markIn, readKept } from "./keeper.ts";

/** What a shadow is made of. */
export interface ShadowMark {
  readonly handler: string;
  readonly version: string;
  readonly from: number;
  readonly key: string | null;
}

export interface Shadow {
  readonly keeper: Keeper;
  readonly start: { readonly floor: number; readonly counts: Readonly<Counts> };
  /** Of a projection. */
  readonly entries: Entries | undefined;
}

export async function openShadow(parts: {
  readonly broker: Broker;
  /** Under the shadow's name. */
  readonly handler: Handler;
  readonly mark: ShadowMark;
  /** Of the home stream. */
  readonly createdMs: number;
  readonly openEntries: OpenEntries;
}): Promise<Shadow> {
  const { broker, handler, mark, createdMs, openEntries } = parts;
  const { name, declaration } = handler;
  const place = placeOf(handler, broker);
  if ((await consumerInfo(broker.jsm, broker.home, consumerName(broker.app, name))) !== undefined)
    throw taken(name, "a handler has this name");
  const found = await readKept(broker, place);
  const start = found.record === undefined ? undefined : goOn(name, found, mark, createdMs);
  if (start === undefined && (await holdsMessages(broker, place)))
    throw taken(name, `the stream ${place.stream} holds something else`);
  const entries = declaration.kind === "projection" ? await openEntries(declaration) : undefined;
  const keeper = createKeeper(broker, place, found, mark, createdMs);
  return { keeper, start: start ?? { floor: 0, counts: noCounts() }, entries };
}

async function holdsMessages(broker: Broker, { stream }: Place): Promise<boolean> {
  if (stream === broker.home) return false; // the ledger's subject alone is the shadow's
  return ((await streamInfo(broker.jsm, stream))?.state.messages ?? 0) > 0;
}

function goOn(name: string, { record }: Found, mark: ShadowMark, createdMs: number) {
  const before = record && markIn(record);
  if (record === undefined || before === undefined) throw taken(name, "a handler has kept it");
  const [input] = record.inputs;
  if (input === undefined || input.createdMs !== createdMs)
    throw taken(name, "it was made of a home stream that is not there any more");
  const changed = differences(before, mark, input);
  if (changed !== undefined) throw taken(name, `it was made ${changed}`);
  return { floor: input.floor, counts: record.counts };
}

/** What it was made of where that is not what it is to go on with. */
function differences(
  before: Readonly<Record<string, unknown>>,
  { handler, version, from, key }: ShadowMark,
  { floor }: InputRecord,
): string | undefined {
  if (before.handler !== handler) return `of the handler ${String(before.handler)}`;
  if (before.version !== version)
    return `by version ${String(before.version)}, and this is ${version}`;
  if ((before.key ?? null) !== key)
    return before.key === null ? "of all keys" : `of the key ${JSON.stringify(before.key)} only`;
  const begun = Number(before.from);
  if (from >= begun && from <= floor + 1) return undefined;
  return `from ${begun} to ${floor}`;
}

function taken(name: string, why: string): EddyError {
  const text = `--into ${name}: ${why}. Nothing was changed. Take another name, or remove what is there`;
  return new EddyError("EDDY_REPLAY_INTO", text, { name });
}

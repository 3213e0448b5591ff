// What is parked of one key, a few at a time and in stream order, each with what is to be done with it.
// N1 What a crash or a zombie left is dropped here, and never given out; a zombie itself drops nothing. N2 What runs already is not given out again.
import type { Position, Token } from "../../events/index.ts";
import { deathsOf } from "../crashes/again.ts";
import { storeFenced } from "../crashes/note.ts";
import { readStanding } from "../retry/standing.ts";
import type { Scope } from "../scope.ts";
import { untilAnswered } from "../until-answered.ts";
import { type Copy, dropParked, listParked, readParked } from "./parking.ts";
import { judgeParked } from "./states.ts";

export interface Found extends Copy {
  readonly judgement: "run" | "uncertain";
  /** How often the process has died behind its own marker; -1 where it is no suspect. */
  readonly deaths: number;
}

const code = "EDDY_PARKED_NOT_READ";

/** Positions of a key as they are listed now; undefined where the session is over. */
export async function listNow(scope: Scope, lane: Token): Promise<Position[] | undefined> {
  const listed = await untilAnswered(scope, code, () =>
    listParked(scope.broker, scope.handler().name, lane),
  );
  return listed && (listed.get(lane) ?? []);
}

/** Those of the positions that are to be run. */
export async function findSome(
  scope: Scope,
  lane: Token,
  positions: readonly Position[],
): Promise<Found[]> {
  const found = await Promise.all(
    positions.map((position) => untilAnswered(scope, code, () => find(scope, lane, position))),
  );
  return found.filter((one) => one !== undefined);
}

async function find(scope: Scope, lane: Token, position: Position): Promise<Found | undefined> {
  const { name } = scope.handler();
  const copy = await readParked(scope.broker, name, lane, position);
  if (copy === undefined) return undefined;
  let judged = await judge(scope, copy);
  if (judged.judgement === "unsettled") {
    await scope.committer.settled();
    judged = await judge(scope, copy);
  }
  const { judgement, deaths } = judged;
  if (judgement === "run" || judgement === "uncertain") return { ...copy, judgement, deaths };
  // Whoever takes over stores copies before it records them: only while nobody has, this one is left by somebody gone.
  if (await storeFenced(scope, [])) await dropParked(scope.broker, name, lane, copy);
  return undefined;
}

async function judge({ broker, ledger, defaults, crashes }: Scope, { parcel }: Copy) {
  const { position } = parcel.original;
  const passed = ledger.isPassed(position); // before the standing is read
  const standing = await readStanding(broker.nc, ledger.place, position);
  const { packedMs } = parcel;
  const { retentionMs } = defaults;
  const nowMs = Date.now();
  const judgement = judgeParked({ standing, passed, packedMs, nowMs, retentionMs });
  return { judgement, deaths: deathsOf(standing, crashes.before) };
}

// What each handler of an app has done, read from the server alone: ledgers and consumers. No runtime needs to run.
import {
  type Broker,
  type ConsumerInfo,
  consumerInfo,
  readMessage,
  streamInfo,
} from "../broker/index.ts";
import { furtherStreams, isPulled } from "./consume.ts";
import { type Counts, noCounts } from "./ledger/counts.ts";
import { isConsumerOf, placeNamed } from "./ledger/place.ts";
import { decodeRecord, type LedgerRecord } from "./ledger/record.ts";
import { stateTypeOf } from "./state/names.ts";

export interface HandlerRow extends Counts {
  readonly name: string;
  /** state: a built-in one, which keeps the last event of each entity of a type in the compacted home. */
  readonly kind: "reaction" | "projection" | "state";
  readonly file: string;
  readonly version: string;
  /** running: somebody pulls its consumer now. trying: that, and events are tried that were in flight at a crash. */
  readonly state: "running" | "trying" | "stopped";
  /** A projection whose entries were folded by an earlier version: a rebuild would fold them anew. */
  readonly outdated?: true;
  /** Events of its filter that are not settled yet; at most as many while it catches up on a long backlog. */
  readonly lag: number;
}

/** A row for each handler that has a consumer, by name. */
export async function readHandlers(broker: Broker): Promise<HandlerRow[]> {
  if ((await streamInfo(broker.jsm, broker.home)) === undefined) return [];
  const rows: HandlerRow[] = [];
  for await (const info of broker.jsm.consumers.list(broker.home)) {
    const meta = info.config.metadata ?? {};
    const name = meta["eddy.handler"];
    if (name === undefined || !isConsumerOf(broker.app, info.name)) continue;
    const kind = meta["eddy.kind"] === "projection" ? "projection" : "reaction";
    const record = await ledgerOf(broker, kind, name);
    rows.push({
      name,
      kind: stateTypeOf(name) === undefined ? kind : "state",
      file: meta["eddy.file"] ?? "",
      version: meta["eddy.version"] ?? "",
      state: !isPulled(info, Date.now())
        ? "stopped"
        : record?.inputs.some((input) => input.trial)
          ? "trying"
          : "running",
      ...(record?.counts ?? noCounts()),
      ...(isOutdated(record, meta["eddy.shape"]) ? { outdated: true } : {}),
      lag: await lagOf(broker, info),
    });
  }
  return rows.sort((a, b) => (a.name < b.name ? -1 : 1));
}

async function ledgerOf(
  broker: Broker,
  kind: "reaction" | "projection",
  name: string,
): Promise<LedgerRecord | undefined> {
  const { stream, ledger } = placeNamed(kind, name, broker);
  const last = await readMessage(broker.nc, stream, { last_by_subj: ledger });
  return last === undefined ? undefined : decodeRecord(last.data);
}

function isOutdated(record: LedgerRecord | undefined, running: string | undefined): boolean {
  return record?.shape !== undefined && running !== undefined && record.shape !== running;
}

/** In all of its streams. */
async function lagOf({ jsm }: Broker, home: ConsumerInfo): Promise<number> {
  const others = await Promise.all(
    furtherStreams(home).map((stream) =>
      consumerInfo(jsm, stream, home.name).catch(() => undefined),
    ), // it is gone
  );
  let lag = 0;
  for (const info of [home, ...others]) lag += info ? info.num_pending + info.num_ack_pending : 0;
  return lag;
}

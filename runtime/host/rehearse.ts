// The check of a changed handler against the log of the running node.
import type { Broker } from "../broker/index.ts";
import { EddyError } from "../events/index.ts";
import { createVerify } from "../modules/index.ts";
import { compareLast, type FindEntries, type ReadEntry } from "../pipeline/index.ts";
import { findEntries, type ProjectionReader } from "../projections/index.ts";

interface Connected {
  readonly broker: Broker;
  readonly projections: ProjectionReader;
}

/** `core` is undefined while nothing is connected: then no changed version can be checked, and none takes over. */
export function verifyWith(core: () => Connected | undefined, deadlineMs: number) {
  return createVerify(async (pair) => {
    const now = core();
    if (now === undefined) throw new EddyError("EDDY_NOT_CONNECTED", "not connected to NATS");
    const { broker, projections } = now;
    const readEntry: ReadEntry = async ({ projection, key }) => ({
      value: (await projections.get(projection, key))?.value,
    });
    const find: FindEntries = (name, query) => findEntries(projections, name, query);
    return await compareLast({ ...pair, broker, deadlineMs, readEntry, findEntries: find });
  });
}

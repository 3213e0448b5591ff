// The same as repeats.ts for whoever reads several streams: identities are known per stream.
import type { Broker } from "../../broker/index.ts";
import { readRepeats } from "./repeats.ts";

/** By stream: the first sequence of the identity that a position repeats; 0 where it is the first itself. */
export type RepeatsIn = (stream: string) => (seq: number) => number;

/** @throws EddyError `EDDY_READ_FAILED`, or the signal's reason. */
export async function readRepeatsIn(
  broker: Broker,
  ends: readonly { readonly stream: string; readonly to: number }[],
  signalled?: AbortSignal,
): Promise<RepeatsIn> {
  const found = new Map<string, (seq: number) => number>();
  for (const { stream, to } of ends)
    found.set(stream, await readRepeats(broker, stream, to, signalled));
  return (stream) => found.get(stream) ?? noRepeats;
}

/** Where repeats do not matter. */
export const noRepeats = () => 0;

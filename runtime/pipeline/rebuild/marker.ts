// Where a switch stands, as a record beside the ledger: for readers, and for whoever takes the ledger over after a crash.
// M1 Nothing of a reader's view changes before `switched`. From then on the copies are the entries, where there is one.
import { type BatchMessage, type Broker, readMessage } from "../../broker/index.ts";
import { type Position, type Token, token } from "../../events/index.ts";
import { type Place, projectionPlace } from "../ledger/place.ts";

export type Marker =
  /** A switch may come: readers look at this before each read. */
  | { readonly kind: "soon" }
  /** Copies are being written. */
  | { readonly kind: "writing"; readonly id: string }
  /** The copies count; they are being written into their places. */
  | { readonly kind: "switched"; readonly id: string }
  | { readonly kind: "over" };

export interface FoundMarker {
  readonly marker: Marker;
  readonly seq: number;
}

/** For so long may a reader go by what it has seen of a marker. */
export const markerLeaseMs = 1_000;

// What is left of one that nobody ends goes by itself. A removal is never the last word: what it removes may revive.
const lines = { soon: "Nats-TTL: 1h\r\n", writing: "", switched: "", over: "Nats-TTL: 1h\r\n" };

const markerOn = (ledger: string) => `${ledger}.rebuild`;

export function markerMessage({ ledger }: Place, marker: Marker): BatchMessage {
  const data = new TextEncoder().encode(JSON.stringify(marker));
  return { natsSubject: markerOn(ledger), headerLines: lines[marker.kind], data };
}

export async function readMarker(
  broker: Pick<Broker, "nc">,
  { stream, ledger }: Place,
): Promise<FoundMarker | undefined> {
  const found = await readMessage(broker.nc, stream, { last_by_subj: markerOn(ledger) });
  if (found === undefined || found.data.byteLength === 0) return undefined;
  return { marker: JSON.parse(new TextDecoder().decode(found.data)) as Marker, seq: found.seq };
}

/** The marker of a projection, for its readers. */
export async function markerOf(
  broker: Pick<Broker, "nc">,
  projection: string,
): Promise<Marker | undefined> {
  return (await readMarker(broker, projectionPlace(projection)))?.marker;
}

/** Copies of entries of one switch; all of them, or that of a key. */
export function copySubject(
  { ledger }: Pick<Place, "ledger">,
  id: string,
  key: Token | ">",
): string {
  return `${ledger}.rebuild.entry.${id}.${key}`;
}

/** The same for readers, who know a projection by its name. */
export function copyOf(projection: string, id: string, key: Token | ">"): string {
  return copySubject(projectionPlace(projection), id, key);
}

/** Positions that a switch has mended. */
export function mendedSubject({ ledger }: Place, id: string, at: Position | ">"): string {
  const rest = at === ">" ? at : `${token(at.stream)}.${at.seq}`;
  return `${ledger}.rebuild.mended.${id}.${rest}`;
}

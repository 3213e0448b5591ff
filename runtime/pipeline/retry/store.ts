// Parcels in a stream. One that would exceed the server's message limit leaves headers and data on sibling subjects,
// in pieces: the original may be as large as a message can be, and its copies carry headers of their own.
// W1 The pieces are stored before the parcel that refers to them.
import { Packr, Unpackr } from "msgpackr";
import type { Broker } from "../../broker/index.ts";
import { readMessage, storeBatch } from "../../broker/index.ts";
import { EddyError } from "../../events/index.ts";
import { encodeParcel, type Original, type Parcel } from "./parcel.ts";

const headroomBytes = 4_096; // headers, subject and what a schedule adds when it fires
const packr = new Packr({ useRecords: false });
const unpackr = new Unpackr({ useRecords: false });
const nothing = new Uint8Array(0);

/** Stores a parcel; resolves once the server has it. Below the subject `aside` lies what is too large for it. */
export async function storeParcel(
  broker: Broker,
  stream: string,
  natsSubject: string,
  parcel: Parcel,
  headerLines: string,
  aside = natsSubject,
): Promise<void> {
  const room = broker.maxPayloadBytes - headroomBytes;
  let data = encodeParcel(parcel);
  if (data.byteLength > room) {
    const { headers, ...rest } = parcel.original;
    const whole = packr.pack([headers, rest.data]);
    const apart = Math.ceil(whole.byteLength / room);
    for (let piece = 0; piece < apart; piece++) {
      const bytes = whole.subarray(piece * room, (piece + 1) * room);
      await store(broker, stream, `${aside}.data.${piece}`, bytes, "");
    }
    data = shortened({ ...parcel, apart, original: { ...rest, data: nothing } }, room);
  }
  await store(broker, stream, natsSubject, data, headerLines);
}

// Only a server with a very low limit asks for it: the history goes before the event does.
function shortened(parcel: Parcel, room: number): Uint8Array {
  const data = encodeParcel(parcel);
  if (data.byteLength <= room) return data;
  const { death, attempts } = parcel;
  const { stack: _, ...error } = death?.error ?? { name: "", message: "" };
  return encodeParcel({
    ...parcel,
    attempts: attempts.slice(-1),
    ...(death === undefined ? {} : { death: { ...death, error } }),
  });
}

/** Brings a parcel back together; undefined where a piece of it is gone. */
export async function wholeParcel(
  broker: Broker,
  stream: string,
  parcel: Parcel,
  aside: string,
): Promise<Parcel | undefined> {
  if (parcel.apart === undefined) return parcel;
  const { apart, ...whole } = parcel;
  const pieces: Uint8Array[] = [];
  for (let piece = 0; piece < apart; piece++) {
    const found = await readMessage(broker.nc, stream, { last_by_subj: `${aside}.data.${piece}` });
    if (found === undefined) return undefined;
    pieces.push(found.data);
  }
  const [headers, data] = unpackr.unpack(Buffer.concat(pieces)) as [
    Original["headers"] | null,
    Uint8Array,
  ];
  return { ...whole, original: { ...parcel.original, ...(headers ? { headers } : {}), data } };
}

/** Removes what was stored apart, once nothing refers to it. */
export async function dropAside(
  broker: Broker,
  stream: string,
  parcel: Parcel,
  aside: string,
): Promise<void> {
  if (parcel.apart === undefined) return;
  await broker.jsm.streams.purge(stream, { filter: `${aside}.data.*` });
}

async function store(
  broker: Broker,
  stream: string,
  natsSubject: string,
  data: Uint8Array,
  headerLines: string,
): Promise<void> {
  const lines = `${headerLines}Nats-Expected-Stream: ${stream}\r\n`;
  const result = await storeBatch(broker.nc, [{ natsSubject, headerLines: lines, data }], 5_000);
  if (result.kind === "stored") return;
  const why = "description" in result ? result.description : result.kind;
  throw new EddyError(
    "EDDY_PARCEL_NOT_STORED",
    `${natsSubject} was not stored in ${stream}: ${why}`,
  );
}

// Parcels in a stream. One that would exceed the server's message limit leaves its data on a sibling subject.
// W1 The data is stored before the parcel that refers to it.
import type { Broker } from "../../broker/index.ts";
import { readMessage, storeBatch } from "../../broker/index.ts";
import { EddyError } from "../../events/index.ts";
import { decodeParcel, encodeParcel, type Parcel } from "./parcel.ts";

const headroomBytes = 4_096; // headers, subject and what a schedule adds when it fires

/** Stores a parcel; resolves once the server has it. `aside` is the subject whose `.data` takes what is too large. */
export async function storeParcel(
  broker: Broker,
  stream: string,
  natsSubject: string,
  parcel: Parcel,
  headerLines: string,
  aside = natsSubject,
): Promise<number> {
  let data = encodeParcel(parcel);
  if (data.byteLength + headroomBytes > broker.maxPayloadBytes) {
    await store(broker, stream, `${aside}.data`, parcel.original.data, "");
    data = encodeParcel({
      ...parcel,
      apart: true,
      original: { ...parcel.original, data: nothing },
    });
  }
  return await store(broker, stream, natsSubject, data, headerLines);
}

const nothing = new Uint8Array(0);

/** Decodes a parcel and brings its data back together. */
export async function openParcel(
  broker: Broker,
  stream: string,
  aside: (parcel: Parcel) => string,
  bytes: Uint8Array,
): Promise<Parcel | undefined> {
  const parcel = decodeParcel(bytes);
  if (parcel === undefined || parcel.apart !== true) return parcel;
  const { apart: _, ...whole } = parcel;
  const data = await readMessage(broker.nc, stream, { last_by_subj: `${aside(parcel)}.data` });
  return { ...whole, original: { ...parcel.original, data: data?.data ?? nothing } };
}

/** Removes the data that was stored apart, once nothing refers to it. */
export async function dropAside(broker: Broker, stream: string, aside: string): Promise<void> {
  await broker.jsm.streams.purge(stream, { filter: `${aside}.data` });
}

async function store(
  broker: Broker,
  stream: string,
  natsSubject: string,
  data: Uint8Array,
  headerLines: string,
): Promise<number> {
  const lines = `${headerLines}Nats-Expected-Stream: ${stream}\r\n`;
  const result = await storeBatch(broker.nc, [{ natsSubject, headerLines: lines, data }], 5_000);
  if (result.kind === "stored") return result.lastSeq;
  const why =
    result.kind === "refused" || result.kind === "full" ? result.description : result.kind;
  throw new EddyError(
    "EDDY_PARCEL_NOT_STORED",
    `${natsSubject} was not stored in ${stream}: ${why}`,
  );
}

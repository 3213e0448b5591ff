// What is stored of an entry, and what is said where it cannot be told.
import { describeThrown, EddyError } from "../events/index.ts";

export interface Entry {
  readonly key: string;
  readonly value: unknown;
  readonly revision: number;
  readonly time: Date;
}

/** @throws EddyError `EDDY_ENTRY_UNREADABLE` */
export function parseEntry(name: string, key: string, data: Uint8Array | string): unknown {
  try {
    return JSON.parse(typeof data === "string" ? data : new TextDecoder().decode(data));
  } catch (cause) {
    throw new EddyError(
      "EDDY_ENTRY_UNREADABLE",
      `the entry ${JSON.stringify(key)} of projection ${name} is no JSON: ${describeThrown(cause).message}. ` +
        `Somebody else has written into the bucket ${name}; remove that entry`,
      { projection: name },
      { cause },
    );
  }
}

export function unknownProjection(name: string): EddyError {
  return new EddyError(
    "EDDY_PROJECTION_UNKNOWN",
    `there is no projection ${JSON.stringify(name.slice(0, 100))} on this server. See: eddy projection list`,
    { projection: name.slice(0, 100) },
  );
}

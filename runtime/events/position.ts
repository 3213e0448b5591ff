// A position as text, as it stands in answers, headers and queries: `EVENTS:123`. Pure.
import type { Position } from "./event.ts";

export function positionText({ stream, seq }: Position): string {
  return `${stream}:${seq}`;
}

/** The position of a text, or undefined where it is none. */
export function parsePosition(text: string): Position | undefined {
  const match = /^([^\s.*>/\\]{1,255}):(\d{1,15})$/.exec(text); // names that a stream may have
  if (match === null) return undefined;
  return { stream: match[1] as string, seq: Number(match[2]) };
}

// A moment in the past as people write it: a time, a duration back from now, or a position. Pure.
import { parseDuration } from "../../authoring/index.ts";
import { isRfc3339, type Position, parsePosition, positionText } from "../../events/index.ts";

export type When =
  | { readonly kind: "position"; readonly position: Position }
  | { readonly kind: "time"; readonly atMs: number };

const allowed =
  "a time such as 2026-11-27T10:00:00Z, a duration back such as 10m, or a position such as EVENTS:7";
const dated = /^\d{4}-\d{2}-\d{2}/;
const iso = /^(\d{4}-\d{2}-\d{2})(?:[Tt ](\d{2}:\d{2})(:\d{2}(?:\.\d+)?)?([Zz]|[+-]\d{2}:\d{2}))?$/;
const zoneless = /^(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2})(:\d{2}(?:\.\d+)?)?$/;
const bare = /^\d{1,15}$/;

/** A sentence where the text is no moment. A bare sequence is one of the home stream. */
export function readMoment(text: string, home: string, nowMs: number): When | string {
  if (dated.test(text)) return timeOf(text);
  if (bare.test(text)) return { kind: "position", position: { stream: home, seq: Number(text) } };
  const backMs = parseDuration(text);
  if (backMs !== undefined) return { kind: "time", atMs: Math.max(0, nowMs - backMs) };
  const position = parsePosition(text);
  if (position === undefined) return `must be ${allowed}, got ${shown(text)}`;
  return { kind: "position", position };
}

/** The same, where positions of these streams alone are meant, the home stream first. */
export function parseWhen(text: string, streams: readonly string[], nowMs: number): When | string {
  const [home = ""] = streams;
  const when = readMoment(text, home, nowMs);
  if (typeof when === "string" || when.kind === "time") return when;
  if (streams.includes(when.position.stream)) return when;
  if (streams.length > 1)
    return `must be a position of ${streams.join(" or ")}, which the projection is folded from, got ${shown(text)}`;
  return `must be a position of ${home}, the stream that projections are folded from, got ${shown(text)}`;
}

function timeOf(text: string): When | string {
  // In a query a plus that was not encoded has become a space.
  const [, day = "", time = "00:00", seconds = ":00", zone = "Z"] =
    iso.exec(text.replace(/ (\d{2}:\d{2})$/, "+$1")) ?? [];
  const full = `${day}T${time}${seconds}${zone}`.toUpperCase();
  if (isRfc3339(full)) return { kind: "time", atMs: Math.max(0, Date.parse(full)) };
  const [, date = "", clock = "", fraction = ":00"] = zoneless.exec(text) ?? [];
  const inUtc = `${date}T${clock}${fraction}Z`;
  if (isRfc3339(inUtc)) return `must say its zone, as in ${inUtc}, got ${shown(text)}`;
  return `must be a time that exists, such as 2026-11-27T10:00:00Z, got ${shown(text)}`;
}

export function whenText(when: When): string {
  return when.kind === "position" ? positionText(when.position) : new Date(when.atMs).toISOString();
}

function shown(text: string): string {
  return JSON.stringify(text.length > 100 ? `${text.slice(0, 97)}...` : text);
}

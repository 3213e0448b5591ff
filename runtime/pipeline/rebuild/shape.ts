// What a projection's entries depend on, as a short digest: its functions as they are written, what it reads, what it
// leaves out, the schema of its state, the names of its indexes. Pure. What `apply` calls outside of itself is not seen.
import { createHash } from "node:crypto";
import { type Handler, listOf } from "../../authoring/index.ts";
import { remoteOf } from "../remote.ts";

/** Undefined for a reaction. */
export function shapeOf(handler: Handler): string | undefined {
  const { declaration, version } = handler;
  if (declaration.kind !== "projection") return undefined;
  const { from, options, state, key, apply, indexes } = declaration;
  // Functions in another thread have no text here: any new version of their module counts.
  const functions = remoteOf(handler) === undefined ? [key, apply].map(textOf) : [version];
  const parts = [functions, listOf(from).map(({ type }) => type), options.where, state, indexes];
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 8);
}

function textOf(written: (...args: never[]) => unknown): string {
  return Function.prototype.toString.call(written);
}

/** Whether it is to be rebuilt by itself where its shape has changed. */
export function isAuto({ declaration }: Handler): boolean {
  return declaration.kind === "projection" && declaration.options.rebuild === "auto";
}

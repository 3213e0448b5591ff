// What all declarations share: the mark by which exports of a module are recognised, and the error for nonsense.
import { EddyError } from "../events/index.ts";

/** Marks a declaration. A registered symbol, so that a module bundled with its own copy is recognised too. */
const mark = Symbol.for("eddyline.declaration");

export function declared<T extends object>(declaration: T): T {
  return Object.freeze(Object.defineProperty(declaration, mark, { value: true }));
}

export function isDeclared(value: unknown): value is object {
  return typeof value === "object" && value !== null && mark in value;
}

/** A declaration that cannot mean anything. Thrown while a module loads: the old version runs on. */
export function nonsense(message: string): EddyError {
  return new EddyError("EDDY_DECLARATION", message);
}

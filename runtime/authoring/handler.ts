// A handler: a declaration under its name, from a file, in a version. What modules load and the pipeline runs.
import { isDeclared } from "./declaration.ts";
import type { Projection } from "./projection.ts";
import type { Reaction } from "./reaction.ts";

export type Declaration = Reaction | Projection;

export interface Handler {
  /** `orders/credit.reserveCredit` for a reaction (file and export), the projection's own name else. */
  readonly name: string;
  /** Path of the file that declares it, below the handlers folder. */
  readonly file: string;
  /** Digest of the compiled module it came from: 8 hexadecimal digits. */
  readonly version: string;
  readonly declaration: Declaration;
}

/** The declaration among a module's exports, or undefined for any other export. */
export function asDeclaration(exported: unknown): Declaration | undefined {
  if (!isDeclared(exported) || !("kind" in exported)) return undefined;
  if (exported.kind === "reaction" || exported.kind === "projection")
    return exported as Declaration;
  return undefined;
}

// `harness(module)`: what handler authors test with. Owns which handlers a test runs, and what it may ask.
// H1 The pipeline's own code runs the handlers; only the streams around it are in memory.
// H2 Nothing depends on real time: a retry waits for `settle`, which moves the clock to when it is due.
// H3 An event meets the projections before the reactions. In the runtime they race: a reaction there may
//    read an entry that does not have its event yet.
import { asDeclaration, type Declaration, type Handler } from "../authoring/index.ts";
import { EddyError } from "../events/index.ts";
import type { Harness } from "./contract.ts";
import { MemoryStream } from "./memory-stream.ts";

/** Exports of a handler module: `{ ...credit, ...customers }`, or `import * as credit`. */
type Exports = Readonly<Record<string, unknown>>;

/**
 * A stream in memory with these handlers on it: the declarations among a module's exports, by name.
 * @throws EddyError `EDDY_DECLARATION` where there is none among them, or two have one name.
 */
export function harness(...modules: readonly Exports[]): Harness {
  return new MemoryStream(handlersOf(modules));
}

function handlersOf(modules: readonly Exports[]): Handler[] {
  const names = new Map<string, Declaration>();
  for (const [exportName, exported] of modules.flatMap((exports) => Object.entries(exports))) {
    const declaration = asDeclaration(exported);
    if (declaration === undefined) continue;
    const name = declaration.kind === "projection" ? declaration.name : exportName;
    if ((names.get(name) ?? declaration) !== declaration) {
      throw new EddyError("EDDY_DECLARATION", `two handlers are called ${name}`, { handler: name });
    }
    names.set(name, declaration);
  }
  if (names.size === 0) {
    const text = "harness(exports): there is no reaction and no projection among the exports";
    throw new EddyError("EDDY_DECLARATION", text);
  }
  return Array.from(names, ([name, declaration]) => ({
    name,
    file: "",
    version: "",
    declaration,
  })).sort((a, b) => rank(a.declaration) - rank(b.declaration)); // H3
}

const rank = ({ kind }: Declaration) => (kind === "projection" ? 0 : 1);

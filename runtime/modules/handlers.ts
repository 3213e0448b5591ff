// The handlers among a module's exports, under their names, and whose a name is where two modules bring it. Pure.
// N1 An object that several files of a module export is one handler, of the file that declares it.
// N2 Of the modules that run, no two have a handler of one name.
import { asDeclaration, type Declaration, type Handler } from "../authoring/index.ts";
import { validatorOf } from "../contracts/index.ts";
import { describeThrown, EddyError, token } from "../events/index.ts";
import { type Compiled, type CompiledFile, withoutExtension } from "./compile.ts";
import type { Exports } from "./evaluate.ts";

/** @throws EddyError EDDY_HANDLER_NAME_TAKEN */
export function handlersOf(compiled: Compiled, exports: Exports): readonly Handler[] {
  const handlers = new Map<string, Handler>();
  const seen = new Set<Declaration>();
  for (const file of compiled.files) {
    for (const [exportName, declaration] of declarationsIn(exports[file.key])) {
      if (seen.has(declaration)) continue;
      seen.add(declaration);
      const name = nameOf(file, exportName, declaration);
      const same = handlers.get(token(name));
      if (same !== undefined) throw nameTaken(name, file.file, same.file);
      checkSchemas(name, file.file, declaration);
      handlers.set(token(name), {
        name,
        file: file.file,
        version: compiled.version,
        declaration,
      });
    }
  }
  return [...handlers.values()];
}

/** A schema that is none must not wait for its first event to be found out. */
function checkSchemas(name: string, file: string, declaration: Declaration): void {
  const emits = declaration.kind === "reaction" ? declaration.emits : [];
  const schemas = [...declaration.from, ...emits].map(({ type, schema }) => ({ of: type, schema }));
  if (declaration.kind === "projection" && declaration.state !== undefined) {
    schemas.push({ of: `the state of ${name}`, schema: declaration.state });
  }
  for (const { of, schema } of schemas) {
    try {
      validatorOf(schema);
    } catch (cause) {
      const text = `${file}: the schema of ${of}, which ${name} uses, cannot be compiled: ${describeThrown(cause).message}`;
      throw new EddyError("EDDY_DECLARATION", text, { name, file }, { cause });
    }
  }
}

/** Named exports first, so that a default export of the same object does not rename it. */
function declarationsIn(exported: unknown): [string, Declaration][] {
  if (typeof exported !== "object" || exported === null) return [];
  return Object.entries(exported)
    .flatMap(([name, value]): [string, Declaration][] => {
      const declaration = asDeclaration(value);
      return declaration === undefined ? [] : [[name, declaration]];
    })
    .sort(([a], [b]) => Number(a === "default") - Number(b === "default") || (a < b ? -1 : 1));
}

function nameOf({ file }: CompiledFile, exportName: string, declaration: Declaration): string {
  if (declaration.kind === "projection") return declaration.name;
  const path = withoutExtension(file);
  return exportName === "default" ? path : `${path}.${exportName}`;
}

function nameTaken(name: string, file: string, otherFile: string): EddyError {
  const text =
    `${file} declares the handler ${name}, and so does ${otherFile}, which has the name already. ` +
    "Rename one of them";
  return new EddyError("EDDY_HANDLER_NAME_TAKEN", text, { name, file, otherFile });
}

export interface Settled {
  /** Modules whose candidate takes the place of what runs. */
  readonly accepted: ReadonlySet<string>;
  readonly refused: ReadonlyMap<string, EddyError>;
}

/**
 * Which new versions may run beside each other and beside what runs on. A name stays with the module that has it,
 * unless that one's own new version gives it up; of two newcomers the first gets it.
 */
export function settleNames(
  running: ReadonlyMap<string, readonly Handler[]>,
  candidates: ReadonlyMap<string, readonly Handler[]>,
): Settled {
  const refused = new Map<string, EddyError>();
  // Each refusal brings back a running version, which may claim names anew: until nothing is refused any more.
  for (;;) {
    const accepted = new Map([...candidates].filter(([module]) => !refused.has(module)));
    const clash = firstClash(running, accepted);
    if (clash === undefined) return { accepted: new Set(accepted.keys()), refused };
    refused.set(clash.module, clash.error);
  }
}

function firstClash(
  running: ReadonlyMap<string, readonly Handler[]>,
  accepted: ReadonlyMap<string, readonly Handler[]>,
): { module: string; error: EddyError } | undefined {
  const owners = new Map<string, { module: string; file: string }>();
  const entitled = (module: string, key: string): boolean =>
    running.get(module)?.some((handler) => token(handler.name) === key) ?? false;
  for (const [module, handlers] of new Map([...running, ...accepted])) {
    for (const { name, file } of handlers) {
      const key = token(name);
      const owner = owners.get(key);
      if (owner === undefined) {
        owners.set(key, { module, file });
        continue;
      }
      const laterHasIt =
        !accepted.has(module) || (entitled(module, key) && accepted.has(owner.module));
      if (laterHasIt) return { module: owner.module, error: nameTaken(name, owner.file, file) };
      return { module, error: nameTaken(name, file, owner.file) };
    }
  }
  return undefined;
}

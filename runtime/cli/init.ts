// `eddy init`: a handlers folder that an editor understands, with a first handler and its test.
// I1 A file that is there is never changed, but for what stands in `.eddy/`: that is made anew, for this machine.
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { Command } from "commander";
import { usage } from "./exits.ts";
import { initFiles } from "./init-files.ts";
import { entryPoints, packagesFolder } from "./installation.ts";
import { withExamples } from "./options.ts";
import { print } from "./output.ts";

export function initCommand(): Command {
  const command = new Command("init").argument("<dir>", "the folder; made where it is missing");
  return withExamples(command, [
    ["eddy init ../shop-handlers", "a folder of its own"],
    ["eddy init .", "again after a clone: only what is missing"],
  ]).action(init);
}

function init(folder: string): void {
  write(join(folder, ".eddy/tsconfig.json"), machineTsconfig(), "anew");
  for (const [name, text] of Object.entries(initFiles)) write(join(folder, name), text, "once");
  const quoted = /^[\w./-]+$/.test(folder) ? folder : JSON.stringify(folder);
  print(`
Next, in the folder you are in:
  npx eddy test ${quoted}                  run its tests
  EDDY_HANDLERS=${quoted} npx eddy dev     run it; a saved file is live
  npx eddy emit com.example.visitor.arrived '{"name":"Ada"}'
  npx eddy tail --from first`);
}

function write(file: string, text: string, when: "once" | "anew"): void {
  if (when === "once" && existsSync(file)) {
    print(`kept  ${file}`);
    return;
  }
  try {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text, { flag: when === "once" ? "wx" : "w" });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw usage(`${file} cannot be written: ${why}`);
  }
  print(`made  ${file}`);
}

// Types come from this installation by its path, which is why this file is not for the repository of the handlers.
function machineTsconfig(): string {
  const { eddyline, "eddyline/testing": testing } = entryPoints();
  const nodeTypes = join(packagesFolder(), "@types");
  const compilerOptions = {
    target: "ES2023",
    lib: ["ES2023"],
    module: "Preserve",
    moduleResolution: "Bundler",
    strict: true,
    noUncheckedIndexedAccess: true,
    isolatedModules: true,
    allowImportingTsExtensions: true,
    noEmit: true,
    skipLibCheck: true,
    paths: { eddyline: [eddyline], "eddyline/testing": [testing] },
    ...(existsSync(nodeTypes) ? { typeRoots: [nodeTypes], types: ["node"] } : {}),
  };
  return `${JSON.stringify({ compilerOptions }, null, 2)}\n`;
}

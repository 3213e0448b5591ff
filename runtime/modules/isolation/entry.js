// What a thread of an isolated module starts with: what is built where there is a build, else the TypeScript sources
// beside it. Plain JavaScript, as no loader is there yet.
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const built = new URL("./worker.js", import.meta.url);
if (!existsSync(built)) {
  const { register } = await import("tsx/esm/api");
  register({ tsconfig: fileURLToPath(new URL("../../../tsconfig.json", import.meta.url)) });
}
await import(existsSync(built) ? built.href : "./worker.ts");

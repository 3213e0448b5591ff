// Where this installation of eddyline is: what a handlers folder elsewhere needs to know for its types and tests.
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { EddyError } from "../events/index.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** The entry points that handlers import, as files that a compiler takes. */
export function entryPoints(): { readonly eddyline: string; readonly "eddyline/testing": string } {
  const folder = existsSync(`${root}runtime/index.ts`) ? "runtime" : "dist";
  const extension = folder === "runtime" ? "ts" : "js";
  const eddyline = `${root}${folder}/index.${extension}`;
  if (existsSync(eddyline)) {
    return { eddyline, "eddyline/testing": `${root}${folder}/testing/index.${extension}` };
  }
  throw new EddyError(
    "EDDY_INSTALLATION",
    `the installation in ${root} is incomplete: ${eddyline} is missing`,
  );
}

/** The folder with the packages that eddyline itself uses. */
export function packagesFolder(): string {
  return `${root}node_modules`;
}

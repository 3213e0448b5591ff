// What the runtime is compared with is a package of its own, installed when a row first needs it.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";

export function installPeers(): void {
  const folder = import.meta.dirname;
  if (existsSync(join(folder, "node_modules/moleculer"))) return;
  console.error("installing what the runtime is compared with (bench/package.json)");
  const install = ["install", "--prefix", folder, "--silent", "--no-audit", "--no-fund"];
  const { status } = spawnSync("npm", install, { stdio: ["ignore", "ignore", "inherit"] });
  if (status !== 0) throw new Error(`npm ${install.join(" ")} ended in ${status}`);
}

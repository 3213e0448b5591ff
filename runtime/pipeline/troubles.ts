// What is wrong with one part of the pipeline, said once each until it is mended.
import type { Report } from "./facts.ts";

export interface Troubles {
  say(code: string, message: string): void;
  /** All of it is over. */
  mended(message: string): void;
}

export function createTroubles(report: Report, about: string): Troubles {
  const open = new Set<string>();
  return {
    say(code, message) {
      if (open.has(code)) return;
      open.add(code);
      report({ kind: "trouble", code, about, message });
    },
    mended(message) {
      for (const code of open) report({ kind: "mended", code, about, message });
      open.clear();
    },
  };
}

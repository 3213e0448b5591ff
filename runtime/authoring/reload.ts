// What a changed version has to show before it takes over: the option `reload`, and its check at declaration.
import { nonsense } from "./declaration.ts";

/** How two versions of a handler may differ over the same events. */
const differences = ["emits", "entries", "letters"] as const;
export type DifferenceKind = (typeof differences)[number];

export type Reload =
  | "verify"
  | {
      /** Over so many of the handler's last events. */
      readonly verify: number;
      /** What may differ: emitted events, entries of a projection, events that fail. Default: nothing. */
      readonly allow?: readonly DifferenceKind[];
    };

export interface ReloadRule {
  readonly events: number;
  readonly allow: readonly DifferenceKind[];
}

const eventsDefault = 1_000;
const eventsMax = 10_000;

/** What the option asks for; undefined where it asks for nothing. */
export function reloadRule(reload: Reload | undefined): ReloadRule | undefined {
  if (reload === undefined) return undefined;
  if (reload === "verify") return { events: eventsDefault, allow: [] };
  return { events: reload.verify, allow: reload.allow ?? [] };
}

export function checkReload(what: string, reload: Reload | undefined): void {
  if (reload === undefined || reload === "verify") return;
  if (reload === null || typeof reload !== "object") {
    const got = JSON.stringify(reload);
    throw nonsense(`${what}: reload must be "verify" or { verify: 1_000, allow: […] }, got ${got}`);
  }
  const { verify, allow = [] } = reload;
  if (!Number.isInteger(verify) || verify < 1 || verify > eventsMax) {
    const got = String(verify);
    throw nonsense(
      `${what}: reload.verify must be a whole number from 1 to ${eventsMax}, got ${got}`,
    );
  }
  if (Array.isArray(allow) && allow.every((kind) => differences.includes(kind))) return;
  throw nonsense(`${what}: reload.allow must be a list of ${differences.join(", ")}`);
}

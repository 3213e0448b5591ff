// What holds for all runs of one version of a handler: its options, with the defaults of the node. Pure.
import { type Handler, parseDuration } from "../authoring/index.ts";
import type { Terms } from "./handle.ts";
import type { Scope } from "./scope.ts";

export interface VersionTerms extends Terms {
  readonly maxAgeMs: number | undefined;
}

export function termsOf({ defaults, broker }: Scope, { name, declaration }: Handler): VersionTerms {
  return {
    deadlineMs: parseDuration(declaration.options.deadline) ?? defaults.deadlineMs,
    source: sourceOf(broker.app, name),
    maxAgeMs: parseDuration(declaration.options.maxAge),
  };
}

/** CloudEvents `source` of what a handler emits: `/<app>/<handler>`. */
export function sourceOf(app: string, handler: string): string {
  return `/${app}/${handler}`;
}

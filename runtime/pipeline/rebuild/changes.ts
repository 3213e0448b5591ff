// Says where a projection's entries were folded by another version than the one that runs: once, until it is mended.
import type { Handler } from "../../authoring/index.ts";
import type { Report } from "../facts.ts";
import { createTroubles, type Troubles } from "../troubles.ts";
import { shapeOf } from "./shape.ts";

export interface Changes {
  /** Compares a version with the shape that the entries have; undefined where that is not known. */
  look(handler: Handler, shape: string | undefined): void;
  /** They are being folded anew, without anybody having to do anything. */
  begin(name: string): void;
}

export function createChanges(report: Report): Changes {
  const told = new Map<string, Troubles>();

  function say(name: string, what: string): void {
    const troubles = told.get(name) ?? createTroubles(report, name);
    told.set(name, troubles);
    troubles.say("EDDY_PROJECTION_CHANGED", `${changedText(name)} ${what}`);
  }

  return {
    look(handler, shape) {
      const { name } = handler;
      if (shape === undefined || shape === shapeOf(handler)) {
        told.get(name)?.mended(`the entries of ${name} are all of its present version`);
        return;
      }
      say(name, offerText(name));
    },
    begin: (name) => say(name, "All are folded anew now; until then they stay what they are"),
  };
}

function changedText(name: string): string {
  return `the entries of projection ${name} were folded by an earlier version of its key, apply, where, from or state.`;
}

function offerText(name: string): string {
  return `New events are folded onto them by the present one. To fold all of them anew: eddy projection rebuild ${name}, or rebuild: "auto" in its options`;
}

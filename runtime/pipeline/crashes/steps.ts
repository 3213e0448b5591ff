// What a trial does next with the deliveries that wait. Pure.
import type { Treatment } from "./suspects.ts";

export type Step =
  /** The first ones run behind one marker. */
  | {
      readonly kind: "try";
      readonly count: number;
      /** How many at once; the last of a group are fewer. */
      readonly size: number;
      readonly deaths: number;
      /** It was among those that ran when the process died. */
      readonly marked: boolean;
    }
  /** The first one is handed on: it is known. */
  | { readonly kind: "pass" }
  | { readonly kind: "dead"; readonly deaths: number }
  | { readonly kind: "over" };

/** As many as a step looks at: the largest group and the one behind it. */
export const lookAhead = 257;

/** The next step; undefined where it takes more events to know. */
export function nextStep(
  seqs: readonly number[],
  treat: (seq: number) => Treatment,
  complete: boolean,
): Step | undefined {
  const [head] = seqs;
  if (head === undefined) return complete ? { kind: "over" } : undefined;
  const first = treat(head);
  switch (first.kind) {
    case "free":
      return { kind: "over" };
    case "completed":
      return { kind: "pass" };
    case "dead":
      return { kind: "dead", deaths: first.deaths };
    case "alone":
      return { kind: "try", count: 1, size: 1, deaths: first.deaths, marked: first.marked };
    case "group": {
      const { size } = first;
      const end = seqs.findIndex((seq) => !inGroup(treat(seq), size));
      const count = Math.min(size, end === -1 ? seqs.length : end);
      if (count < size && end === -1 && !complete) return undefined;
      return { kind: "try", count, size, deaths: 0, marked: false };
    }
  }
}

/** Whether it is named by the marker behind which it runs. */
export function isTried({ kind }: Treatment): boolean {
  return kind === "group" || kind === "alone";
}

function inGroup(treatment: Treatment, size: number): boolean {
  if (treatment.kind === "group") return treatment.size === size;
  return treatment.kind === "completed";
}

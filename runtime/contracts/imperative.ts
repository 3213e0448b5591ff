// Whether an event's type is worded as a command: `order.create`, `place-order`, `send.email`. Pure.
// A false alarm is worse than a miss. So only verbs in their base form are known that are no nouns, no adjectives and no
// past tense: `update`, `complete` and `set` may well name what has happened.

const verbs = new Set(
  [
    "accept activate add allocate apply approve assign authorise authorize calculate cancel confirm create",
    "deactivate delete deliver deny disable do enable enqueue ensure execute generate get invoke notify perform",
    "publish remove rename replace revoke send submit subscribe terminate unassign unsubscribe validate verify",
  ].flatMap((line) => line.split(" ")),
);

/** Nouns when they stand alone, verbs with an object behind them: `place-order`. */
const verbsBeforeAnObject = new Set(["place", "reserve"]);

/** After these a verb only names what was tried, or is part of a noun: `send-failure`, `delete-done`, `add-on`. */
const outcomes = new Set(
  "done sent made paid lost found gone left failure error timeout success result on not".split(" "),
);

const version = /^v?\d+(?:(?:alpha|beta|rc)\d*)?$/;

/** The words of an event's type that tell somebody to do something; undefined where it does not sound so. */
export function imperativeIn(type: string): string | undefined {
  const parts = type.split(".").filter((part) => wordsOf(part).length > 0);
  const last = parts.at(-1);
  if (last === undefined) return undefined;
  const words = wordsOf(last);
  if (words.some(isOutcome)) return undefined;
  const [first = "", object] = words;
  if (verbs.has(first) || (verbsBeforeAnObject.has(first) && object !== undefined)) return last;
  // Second from the left stands a name, as in com.acme: somebody may be called like a verb.
  const before = parts.at(-2);
  if (before === undefined || parts.length === 3) return undefined;
  return verbs.has(before.toLowerCase()) ? `${before}.${last}` : undefined;
}

function wordsOf(part: string): readonly string[] {
  const words = part.split(/[^\p{L}\p{N}]+|(?<=[\p{Ll}\p{N}])(?=\p{Lu})/u);
  return words.map((word) => word.toLowerCase()).filter((w) => w !== "" && !version.test(w));
}

function isOutcome(word: string): boolean {
  return word.endsWith("ed") || outcomes.has(word);
}

// A dead letter as `eddy dead` shows it: an item of the list, or a page.
import type { EddyError } from "../events/index.ts";
import { printable, printableLines } from "../observe/index.ts";
import type { Letter } from "../pipeline/index.ts";
import { notFound } from "./exits.ts";

/** The item of `eddy dead list --json`. What a message that is no event does not have is null. */
export function letterItem(letter: Letter) {
  const { handler, reason, error, attempts, first, last, version, origin } = letter;
  return {
    letter: letter.letter,
    handler,
    reason,
    source: letter.source ?? null,
    id: letter.id ?? null,
    type: letter.type ?? null,
    key: letter.key ?? null,
    error: { name: error.name, message: error.message },
    attempts: attempts.length,
    first,
    last,
    version,
    origin: { stream: origin.stream, seq: origin.seq, subject: origin.subject },
  };
}

/** Everything, for a person. `text` is the data where it is text. */
export function letterPage(letter: Letter, text: string | undefined): string {
  const { handler, reason, version, error, attempts, origin, headers, data } = letter;
  const lines: [string, string | undefined][] = [
    ["letter", String(letter.letter)],
    ["handler", `${handler}@${version}`],
    ["reason", reason],
    ["type", letter.type],
    ["source", letter.source],
    ["id", letter.id],
    ["key", letter.key],
    ["origin", `${origin.stream} ${origin.seq} on ${origin.subject}, stored ${origin.time}`],
  ];
  const known = lines.filter((line): line is [string, string] => line[1] !== undefined);
  return [
    ...known.map(([name, value]) => `${name.padEnd(8)} ${printable(value)}`),
    "",
    printableLines(reasonText(error)),
    "",
    ...attempts.map(({ attempt, at, version, error }) => {
      return printable(`attempt ${attempt} at ${at} by version ${version}: ${error}`);
    }),
    "",
    ...headers.map(([name, value]) => printable(`${name}: ${value}`)),
    "",
    text === undefined
      ? `${data.length} bytes that are not text (see --json)`
      : printableLines(text),
    "",
    `Give it back to ${printable(handler)}: eddy dead replay ${letter.letter}`,
  ].join("\n");
}

/** What has a code says all in its text; a stack would only lead into the runtime. */
function reasonText({ code, name, message, stack }: Letter["error"]): string {
  if (code !== undefined) return `${code}  ${message}`;
  return stack ?? `${name}: ${message}`;
}

export function missingLetter(letter: number): EddyError {
  return notFound(`there is no dead letter ${letter} (any more). See: eddy dead list`);
}

// What is said of events that may have ended the process.
import { EddyError } from "../../events/index.ts";

export function crashError(handler: string, deaths: number): EddyError {
  return new EddyError(
    "EDDY_CRASH_LOOP",
    `the process ended ${deaths} times while ${handler} ran this event, without a stop: it is not run again. Look at what ` +
      "the last runs logged, at the exit code and at the memory limit of the container (137: killed, or out of memory), and " +
      "whether the handler calls process.exit or loops without an await. Mend it, then give it back: eddy dead replay",
    { handler, deaths },
  );
}

export function trialText(count: number, died: string | undefined): string {
  const when = died === undefined ? "" : ` when the runtime ${died} ended without a stop`;
  const events = count === 1 ? "one event was" : `up to ${count} events were`;
  return `${events} in flight${when}; they are tried behind a marker before anything else of it goes on`;
}

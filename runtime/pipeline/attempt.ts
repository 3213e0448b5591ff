// One event in its lane: contract, handler, conclusion. The only place where user code runs.
import { Permanent, parseDuration } from "../authoring/index.ts";
import type { BatchMessage } from "../broker/index.ts";
import { type CloudEvent, EddyError, encodeMessage, eventSubject, keyOf } from "../events/index.ts";
import { concludeFailed, concludeHandled } from "./conclude.ts";
import { foldEvent } from "./fold.ts";
import { type Run, runReaction } from "./handle.ts";
import type { Job, Scope } from "./scope.ts";

/** Runs the current version of the handler on the job's event; `leave` frees the lane. */
export function runAttempt(scope: Scope, job: Job, event: CloudEvent, leave: () => void): void {
  const handler = scope.handler();
  job.handler = handler;
  const { declaration } = handler;
  const failed = (error: unknown) => {
    // Cut off by the stop: no attempt of its own, the next start delivers the event again.
    if (scope.around.stopping.over) leave();
    else void concludeFailed(scope, job, error).finally(leave);
  };
  if (declaration.kind === "projection") {
    const { entries } = scope;
    if (entries === undefined) throw new RangeError("a projection needs its entries");
    void foldEvent(declaration, event, job.key ?? keyOf(event), entries).then((folded) => {
      if (folded.kind === "threw") return failed(folded.error);
      concludeHandled(scope, job, [folded.message]);
      leave();
    });
    return;
  }
  const deadline = declaration.options.deadline;
  const run: Run = {
    handler,
    event,
    position: job.original.position,
    attempt: job.attempt,
    deadlineMs: parseDuration(deadline) ?? scope.defaults.deadlineMs,
    source: sourceOf(scope.broker.app, handler.name),
  };
  runReaction(declaration, run, scope.around, (result) => {
    if (result.kind === "threw") return failed(result.error);
    try {
      concludeHandled(
        scope,
        job,
        result.emitted.map((emitted) => effectMessage(scope, handler.name, emitted)),
      );
      leave();
    } catch (error) {
      failed(error);
    }
  });
}

/** CloudEvents `source` of what a handler emits: `/<app>/<handler>`. */
function sourceOf(app: string, handler: string): string {
  return `/${app}/${handler}`;
}

const headroomBytes = 512; // batch and fence headers, and the protocol's own

function effectMessage(scope: Scope, handler: string, event: CloudEvent): BatchMessage {
  const natsSubject = eventSubject(event.type, keyOf(event));
  const { headerLines, data } = encodeMessage(event);
  const bytes = Buffer.byteLength(headerLines) + data.byteLength + headroomBytes;
  if (bytes > scope.broker.maxPayloadBytes) {
    const message = `${handler} emitted ${event.type} with ${bytes} bytes; the server takes ${scope.broker.maxPayloadBytes}`;
    throw new Permanent(message, { cause: new EddyError("EDDY_EFFECT_TOO_LARGE", message) });
  }
  return { natsSubject, headerLines, data, identity: event };
}

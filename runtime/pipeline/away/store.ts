// Effects that are too large for a message: their data is stored as objects before anything is committed, and the
// effects refer to it. A crash in between leaves objects that the next attempt stores again under the same names; those
// of an attempt that never comes again go with the sweep (sweep.ts).
import { Permanent } from "../../authoring/index.ts";
import type { BatchMessage } from "../../broker/index.ts";
import { EddyError, takeOut } from "../../events/index.ts";
import { effectBytes } from "../effect.ts";
import type { Scope } from "../scope.ts";
import { untilAnswered } from "../until-answered.ts";

/** Whether the server takes them all as they are. */
export function allFit({ broker }: Scope, effects: readonly BatchMessage[]): boolean {
  return effects.every((effect) => effectBytes(effect) <= broker.maxPayloadBytes);
}

/** The effects as they can be committed; undefined where the session was over before. Rejects with Permanent for
 * what is too large even so. */
export async function storeLarge(
  scope: Scope,
  handler: string,
  effects: readonly BatchMessage[],
): Promise<readonly BatchMessage[] | undefined> {
  const stored: BatchMessage[] = [];
  for (const effect of effects) {
    stored.push(allFit(scope, [effect]) ? effect : await storeOne(scope, handler, effect));
    if (!scope.alive()) return undefined;
  }
  return stored;
}

async function storeOne(
  scope: Scope,
  handler: string,
  effect: BatchMessage,
): Promise<BatchMessage> {
  const { objects } = scope.broker;
  const { natsSubject, identity } = effect;
  const claim = identity && takeOut(effect, identity, objects.bucket);
  if (claim === undefined)
    throw tooLarge(scope, handler, effect, "its data cannot be kept outside");
  const small = { ...effect, ...claim.message };
  if (claim.data.byteLength > objects.bytesMax) {
    throw tooLarge(
      scope,
      handler,
      effect,
      `data outside may have ${objects.bytesMax} (objects.maxBytes)`,
    );
  }
  if (!allFit(scope, [small]))
    throw tooLarge(scope, handler, effect, "so it does without its data");
  await untilAnswered(scope, "EDDY_OBJECT_NOT_STORED", () =>
    objects.put(claim.ref, claim.data, natsSubject),
  );
  return small;
}

function tooLarge(
  { broker }: Scope,
  handler: string,
  effect: BatchMessage,
  why: string,
): Permanent {
  const message = `${handler} emitted ${effect.natsSubject} with ${effectBytes(effect)} bytes; the server takes ${broker.maxPayloadBytes}, and ${why}. Emit less`;
  return new Permanent(message, { cause: new EddyError("EDDY_EFFECT_TOO_LARGE", message) });
}

// Effects that are too large for a message: their data is stored as objects before anything is committed, and the
// effects refer to it. A crash in between leaves objects that the next attempt stores again under the same names; those
// of an attempt that never comes again go with the sweep (sweep.ts).
import { Permanent } from "../../authoring/index.ts";
import type { BatchMessage, Broker } from "../../broker/index.ts";
import { type Claim, EddyError, takeOut } from "../../events/index.ts";
import { effectBytes } from "../effect.ts";
import type { Scope } from "../scope.ts";
import { untilAnswered } from "../until-answered.ts";

/** Whether the server takes them all as they are. */
export function allFit(
  { broker }: { readonly broker: Pick<Broker, "maxPayloadBytes"> },
  effects: readonly BatchMessage[],
): boolean {
  return effects.every((effect) => effectBytes(effect) <= broker.maxPayloadBytes);
}

/** Stores the data of an effect outside. */
export type StoreOutside = (claim: Claim, effect: BatchMessage) => Promise<unknown>;

/** The effects as they can be committed; undefined where the session was over before. Rejects with Permanent for
 * what is too large even so. */
export async function storeLarge(
  scope: Scope,
  handler: string,
  effects: readonly BatchMessage[],
): Promise<readonly BatchMessage[] | undefined> {
  const { broker } = scope;
  const store: StoreOutside = ({ ref, data }, { natsSubject }) =>
    untilAnswered(scope, "EDDY_OBJECT_NOT_STORED", () =>
      broker.objects.put(ref, data, natsSubject),
    );
  const stored: BatchMessage[] = [];
  for (const effect of effects) {
    stored.push(await withoutLarge(broker, handler, effect, store));
    if (!scope.alive()) return undefined;
  }
  return stored;
}

/** An effect as it can be committed, once what is too large of it is stored. Rejects as said above. */
export async function withoutLarge(
  broker: Broker,
  handler: string,
  effect: BatchMessage,
  store: StoreOutside,
): Promise<BatchMessage> {
  if (allFit({ broker }, [effect])) return effect;
  const { objects } = broker;
  const { identity } = effect;
  const claim = identity && takeOut(effect, identity, objects.bucket);
  if (claim === undefined)
    throw tooLarge(broker, handler, effect, "its data cannot be kept outside");
  const small = { ...effect, ...claim.message };
  if (claim.data.byteLength > objects.bytesMax) {
    const why = `data outside may have ${objects.bytesMax} (objects.maxBytes)`;
    throw tooLarge(broker, handler, effect, why);
  }
  if (!allFit({ broker }, [small]))
    throw tooLarge(broker, handler, effect, "so it does without its data");
  await store(claim, effect);
  return small;
}

function tooLarge(broker: Broker, handler: string, effect: BatchMessage, why: string): Permanent {
  const message = `${handler} emitted ${effect.natsSubject} with ${effectBytes(effect)} bytes; the server takes ${broker.maxPayloadBytes}, and ${why}. Emit less`;
  return new Permanent(message, { cause: new EddyError("EDDY_EFFECT_TOO_LARGE", message) });
}

// The check of a changed version before it takes over: both versions over the handler's last events, in threads of their own.
// V1 A version that differs in what its author did not allow does not take over. V2 The check ends: a handler that blocks is
// stopped, and all of it has a deadline. V3 Nothing of it is stored or emitted.
import {
  type DifferenceKind,
  type Handler,
  type ReloadRule,
  reloadRule,
} from "../authoring/index.ts";
import { describeThrown, EddyError, positionText } from "../events/index.ts";
import type { Difference, Rehearsal } from "../pipeline/index.ts";
import type { Compiled } from "./compile.ts";
import { createThreads } from "./threads.ts";

/** A loaded version of a module. */
export interface Version {
  readonly compiled: Compiled;
  readonly handlers: readonly Handler[];
}

/** Runs both versions of a handler; whoever hands it in knows the log. */
type Rehearse = (pair: {
  readonly live: Handler;
  readonly next: Handler;
  readonly events: number;
  /** Longest run of one event. */
  readonly attemptMs: number;
  readonly stop: AbortSignal;
}) => Promise<Rehearsal>;

/** What was found, where the next version may take over and anything was to be looked at. Throws EddyError where it may not. */
export type Verify = (live: Version, next: Version) => Promise<string | undefined>;

const verifyMsMax = 10_000; // other modules that changed at the same time wait for it
const attemptMs = 2_000;
const memoryBytes = 128 * 2 ** 20;

export function createVerify(rehearse: Rehearse): Verify {
  return async (live, next) => {
    const rules = rulesOf(live, next);
    if (rules.size === 0) return undefined;
    const module = next.compiled.module.name;
    const threads = createThreads({ [module]: { isolation: "thread", memoryBytes } }, () => {});
    const stop = new AbortController();
    const work = async () => {
      const [old, young] = await Promise.all([
        threads.load(live.compiled),
        threads.load(next.compiled),
      ]);
      const notes: string[] = [];
      for (const [name, rule] of rules) {
        const pair = { live: named(old, name), next: named(young, name) };
        const found = await rehearse({
          ...pair,
          events: rule.events,
          attemptMs,
          stop: stop.signal,
        });
        refuseUnless(rule, pair, found);
        notes.push(noteOf(name, found));
      }
      return notes.join("; ");
    };
    try {
      return await inTime(work(), module);
    } catch (error) {
      throw isRefusal(error) ? error : unverified(module, error);
    } finally {
      stop.abort();
      await threads.close();
    }
  };
}

/** Handlers that are in both versions and that the old or the new one wants to be checked, by name. What the new one says counts. */
function rulesOf(live: Version, next: Version): ReadonlyMap<string, ReloadRule> {
  const rules = new Map<string, ReloadRule>();
  for (const { name, declaration } of next.handlers) {
    const old = live.handlers.find((handler) => handler.name === name)?.declaration;
    if (old?.kind !== declaration.kind) continue;
    const asked = reloadRule(declaration.options.reload);
    // One that drops the option has still to pass it: else any change could go around it.
    const before = reloadRule(old.options.reload);
    const rule = asked ?? (before && { ...before, allow: [] });
    if (rule !== undefined) rules.set(name, rule);
  }
  return rules;
}

function named(handlers: readonly Handler[], name: string): Handler {
  const found = handlers.find((handler) => handler.name === name);
  if (found === undefined) throw new RangeError(`bug: ${name} is not in the module again`);
  return found;
}

async function inTime<T>(work: Promise<T>, module: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(tooSlow(module)), verifyMsMax);
  });
  work.catch(() => {}); // what comes after the deadline is of no interest
  return await Promise.race([work, late]).finally(() => clearTimeout(timer));
}

/** What the rule does not allow. An event that fails in the old version only is good news, and one that fails in both is none. */
function refuseUnless(
  { allow, events }: ReloadRule,
  { live, next }: { readonly live: Handler; readonly next: Handler },
  { read, differences }: Rehearsal,
): void {
  const wrong = differences.filter(
    (difference) => !allow.includes(difference.kind) && counts(difference),
  );
  const [first] = wrong;
  if (first === undefined) return;
  const kinds = [...new Set(wrong.map(({ kind }) => kind))];
  const counted = kinds.map((kind) => tally(kind, wrong.filter((one) => one.kind === kind).length));
  const allowed = [...new Set([...allow, ...kinds])].map((kind) => JSON.stringify(kind)).join(", ");
  const text =
    `${next.name}: over its last ${read} events this version differs from ${live.version}: ${counted.join(", ")}, ` +
    `first ${shown(first)}. It does not take over. If that is meant, say so: ` +
    `reload: { verify: ${events}, allow: [${allowed}] }. To see all of it: eddy replay ${next.name} --from first --handlers OLD_FOLDER --what-if NEW_FILE`;
  throw new EddyError("EDDY_RELOAD_REFUSED", text, { handler: next.name, file: next.file });
}

function counts(difference: Difference): boolean {
  return difference.kind !== "letters" || (difference.next !== null && difference.live === null);
}

function tally(kind: DifferenceKind, count: number): string {
  switch (kind) {
    case "emits":
      return `${count} with other emitted events`;
    case "entries":
      return `${count} other entries`;
    case "letters":
      return `${count} that fail anew`;
  }
}

function shown(difference: Difference): string {
  if (difference.kind === "entries") return `entry ${JSON.stringify(difference.key.slice(0, 100))}`;
  const { position, id = "no event" } = difference;
  const where = `position ${positionText(position)} (id ${id.slice(0, 100)})`;
  if (difference.kind === "emits") return where;
  const { code, message } = difference.next ?? { code: "", message: "" };
  return `${where}: ${code}: ${message.slice(0, 200)}`;
}

function noteOf(name: string, found: Rehearsal): string {
  const { read, differences, mended, letters, lettersMended } = found;
  const other = differences.length - mended;
  const what = other === 0 ? "no difference" : `${other} allowed differences`;
  const open = letters === 0 ? "" : `, ${lettersMended} of ${letters} open letters would succeed`;
  return `${name} was verified over ${read} events: ${what}${open}`;
}

function isRefusal(error: unknown): error is EddyError {
  return error instanceof EddyError && error.code === "EDDY_RELOAD_REFUSED";
}

function tooSlow(module: string): EddyError {
  const text = `${module}: the check of this version (reload: "verify") was not done within ${verifyMsMax / 1_000} s: a handler blocks, or its events take long. It does not take over. Mend it, or verify fewer events`;
  return new EddyError("EDDY_RELOAD_REFUSED", text);
}

function unverified(module: string, cause: unknown): EddyError {
  const text = `${module}: this version could not be checked (reload: "verify"): ${describeThrown(cause).message}. It does not take over before that; it is tried again`;
  return new EddyError("EDDY_RELOAD_UNVERIFIED", text, {}, { cause });
}

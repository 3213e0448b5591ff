// The circuit between a handler and its source: open while the source does not answer. Pure; times are handed in.
// C1 Open, it lets one call through now and then, a probe, and no other. C2 One answer closes it, whoever asked.

export type Circuit =
  /** Calls that failed since the last answer. */
  | { readonly kind: "closed"; readonly failures: number }
  /** Probes that have failed, and when the next one may begin. */
  | { readonly kind: "open"; readonly probes: number; readonly untilMs: number }
  /** One call is on its way; others wait for what becomes of it. */
  | { readonly kind: "probing"; readonly probes: number };

export const closed: Circuit = { kind: "closed", failures: 0 };

const waitMs = { first: 1_000, most: 30_000 };

/** When a call may begin; never while a probe is on its way. */
export function callableAt(circuit: Circuit): number {
  if (circuit.kind === "closed") return 0;
  return circuit.kind === "open" ? circuit.untilMs : Number.POSITIVE_INFINITY;
}

/** A call begins. */
export function begun(circuit: Circuit): Circuit {
  return circuit.kind === "open" ? { kind: "probing", probes: circuit.probes } : circuit;
}

/** The source did not answer. `failuresMax` in a row open the circuit; the source may have said until when to wait. */
export function failed(
  circuit: Circuit,
  isProbe: boolean,
  failuresMax: number,
  nowMs: number,
  untilMs: number,
): Circuit {
  if (circuit.kind === "closed") {
    const failures = circuit.failures + 1;
    return failures < failuresMax ? { kind: "closed", failures } : opened(0, nowMs, untilMs);
  }
  return isProbe ? opened(circuit.probes + 1, nowMs, untilMs) : circuit;
}

/** A call that began says nothing about the source: a probe may be tried again at once. */
export function unused(circuit: Circuit, isProbe: boolean, nowMs: number): Circuit {
  if (!isProbe || circuit.kind !== "probing") return circuit;
  return { kind: "open", probes: circuit.probes, untilMs: nowMs };
}

function opened(probes: number, nowMs: number, untilMs: number): Circuit {
  const delayMs = Math.min(waitMs.first * 2 ** Math.min(probes, 10), waitMs.most);
  return { kind: "open", probes, untilMs: Math.max(nowMs + delayMs, untilMs) };
}

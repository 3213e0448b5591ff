// What the process keeps of projections, as gauges. Told also while no server answers: then its age grows.
import { Gauge, type Registry } from "prom-client";

export interface LocalGauges {
  readonly projection: string;
  readonly ready: boolean;
  readonly entries: number;
  readonly sizeBytes: number;
  readonly ageMs: number;
}

export function showLocals(registry: Registry): (locals: readonly LocalGauges[]) => void {
  const gauge = (name: string, help: string) =>
    new Gauge({ name, help, labelNames: ["projection"], registers: [registry] });
  const ready = gauge("eddy_local_ready", "Whether a local copy is read (1) or still filled (0)");
  const entries = gauge("eddy_local_entries", "Entries of a projection that this process keeps");
  const bytes = gauge("eddy_local_bytes", "About what the entries that are kept take in memory");
  const age = gauge("eddy_local_age_seconds", "Time since a local copy has heard of its bucket");
  return (locals) => {
    for (const one of [ready, entries, bytes, age]) one.reset();
    for (const local of locals) {
      const labels = { projection: local.projection };
      ready.set(labels, local.ready ? 1 : 0);
      entries.set(labels, local.entries);
      bytes.set(labels, local.sizeBytes);
      age.set(labels, local.ageMs / 1_000);
    }
  };
}

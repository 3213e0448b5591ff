// All faults, in the order of the table.
import type { Fault } from "../fault.ts";
import { clocks } from "./clocks.ts";
import { deletionFaults } from "./deletions.ts";
import { disks } from "./disks.ts";
import { enrichments } from "./enrichments.ts";
import { home } from "./home.ts";
import { instances } from "./instances.ts";
import { kills } from "./kills.ts";
import { network } from "./network.ts";
import { producers } from "./producers.ts";
import { rebuilds } from "./rebuilds.ts";
import { reloads } from "./reloads.ts";

export const faults: readonly Fault[] = [
  ...kills,
  ...instances,
  ...network,
  ...disks,
  ...deletionFaults,
  ...clocks,
  ...reloads,
  ...rebuilds,
  ...enrichments,
  ...home,
  ...producers,
];

// The bare relay of bench/floor.ts: what is left when nothing is decided.
import { join } from "node:path"
import type { System } from "../system.ts"

export const floor: System = {
  name: "floor",
  missing: () => undefined,
  policies: ["list", "deny"],
  withoutList: true,
  buffers: false,
  reloads: false,
  version: () => `Bun ${Bun.version}`,
  prepare: (task) => [
    process.execPath,
    "--no-install",
    join(import.meta.dir, "../floor.ts"),
    task.address,
    `${task.first}-${task.last}`,
    ...(task.policy === "deny" ? [] : [String(task.upstream)]),
  ],
}

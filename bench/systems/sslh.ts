// sslh, the one that serves all connections in one process: it routes by the first bytes and has no list of ranges.
import { find } from "../process.ts"
import { firstLine, type System } from "../system.ts"

export const sslh: System = {
  name: "sslh",
  missing: () => (find("sslh-select") === undefined ? "sslh-select is not installed" : undefined),
  policies: ["list"],
  withoutList: true,
  few: true,
  buffers: false,
  reloads: false,
  version: () => firstLine([find("sslh-select")!, "-V"]),
  prepare: (task) => [
    find("sslh-select")!,
    "--foreground",
    "--numeric",
    "-p",
    `${task.address}:${task.first}`,
    "--http",
    `127.0.0.1:${task.upstream}`,
  ],
}

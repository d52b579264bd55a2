// A gateway that has nothing but its control socket: folder, then an optional --control path. Prints where it listens.
import { openControl } from "../../src/admin/control.ts"

const [folder = ".", path] = process.argv.slice(2)
const control = await openControl({
  folder,
  path,
  status: () => ({
    pid: process.pid,
    version: "0.1.0",
    startedAt: "2026-01-02T12:00:00.000Z",
    ready: true,
    draining: false,
    snapshot: "0123456789ab",
    connections: { active: 0, max: 100, accepted: 0 },
    listeners: [],
    files: [],
    certificates: [],
    lists: [],
    databases: [],
    pools: [],
    events: { dropped: 0 },
  }),
})
console.log(control.path)

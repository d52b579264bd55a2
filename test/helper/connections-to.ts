// Which connections this process has to a port of 127.0.0.1, whatever their state.
import { readFileSync } from "node:fs"
import { descriptors } from "./black-hole.ts"

/** Their states, as /proc/net/tcp has them: `01` is established, `02` connecting. */
export function connectionsTo(port: number): string[] {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, "0")}`
  const held = descriptors()
  return readFileSync("/proc/self/net/tcp", "utf8")
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter((columns) => columns[2]?.endsWith(wanted) && held.has(`socket:[${columns[9]}]`))
    .map((columns) => columns[3]!)
}

// The descriptor limit of this process, from /proc. Bun lifts the soft limit to the hard one at start.
import { readFileSync } from "node:fs"

/** POSIX's least common default, taken where /proc is missing. */
const UNKNOWN = 1024

export function descriptorLimit(): number {
  try {
    const match = /^Max open files\s+(\d+|unlimited)/m.exec(readFileSync("/proc/self/limits", "utf8"))
    if (match === null) return UNKNOWN
    return match[1] === "unlimited" ? 1_048_576 : Number(match[1])
  } catch {
    return UNKNOWN
  }
}

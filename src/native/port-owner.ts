// Which process holds a listening port, from /proc. Where /proc is missing or another user owns the process, the
// answer is undefined: it only makes an error message better.
import { readdirSync, readFileSync, readlinkSync } from "node:fs"

/** 0A: TCP_LISTEN in the state column of /proc/net/tcp. */
const LISTEN = "0A"

/** `name (pid 123)` of the process that listens on this TCP port. */
export function portOwner(port: number): string | undefined {
  const inodes = new Set([...listening("/proc/net/tcp", port), ...listening("/proc/net/tcp6", port)])
  return inodes.size === 0 ? undefined : holder(inodes)
}

function listening(table: string, port: number): string[] {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, "0")}`
  return text(table)
    .split("\n")
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter((columns) => columns[3] === LISTEN && columns[1]?.endsWith(wanted))
    .map((columns) => `socket:[${columns[9]}]`)
}

function holder(inodes: ReadonlySet<string>): string | undefined {
  for (const pid of list("/proc")) {
    if (!/^\d+$/.test(pid)) continue
    for (const fd of list(`/proc/${pid}/fd`)) {
      if (inodes.has(link(`/proc/${pid}/fd/${fd}`))) return `${text(`/proc/${pid}/comm`).trim()} (pid ${pid})`
    }
  }
  return undefined
}

// Processes come and go while /proc is read, and other users' are closed to us: what cannot be read is not there.
function quietly<A>(read: () => A, otherwise: A): A {
  try {
    return read()
  } catch {
    return otherwise
  }
}

const text = (path: string) => quietly(() => readFileSync(path, "utf8"), "")
const list = (path: string) => quietly(() => readdirSync(path), [])
const link = (path: string) => quietly(() => readlinkSync(path), "")

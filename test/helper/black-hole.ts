// An address that never answers: a listener whose queue is full, so that the kernel drops every further SYN.
import { closeDescriptor, connectTcp, listenTcp, localName } from "../../src/native/socket.ts"
import { readdirSync, readFileSync, readlinkSync } from "node:fs"

const KEEP_ALIVE = { idle: 60, interval: 15, count: 5, userTimeout: 0 }
/** SYN_SENT in the state column of /proc/net/tcp. */
const CONNECTING = "02"

export interface BlackHole extends Disposable {
  readonly port: number
  readonly url: string
  /** The descriptors of this process that are trying to connect to it, as socket inodes. */
  attempts(): Set<string>
}

export function blackHole(): BlackHole {
  const fd = listenTcp(
    { family: "IPv4", a: 0x7f000001, b: 0, c: 0, d: 0, port: 0, bothFamilies: false },
    0,
    KEEP_ALIVE,
    [],
  )
  const { port } = localName(fd)!
  // A backlog of 0 holds one.
  const fill = Array.from({ length: 4 }, () => connectTcp("IPv4", 0x7f000001, 0, 0, 0, port))
  const ours = new Set(fill.map((each) => readlinkSync(`/proc/self/fd/${each}`)))
  return {
    port,
    url: `tcp://127.0.0.1:${port}`,
    attempts: () => new Set([...connecting(port)].filter((inode) => !ours.has(inode))),
    [Symbol.dispose]() {
      for (const each of [fd, ...fill]) closeDescriptor(each)
    },
  }
}

/** The descriptors of this process that are trying to connect to a port, as socket inodes. */
export function connecting(port: number): Set<string> {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, "0")}`
  const inodes = readFileSync("/proc/self/net/tcp", "utf8")
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter((columns) => columns[3] === CONNECTING && columns[2]?.endsWith(wanted))
    .map((columns) => `socket:[${columns[9]}]`)
  const held = descriptors()
  return new Set(inodes.filter((inode) => held.has(inode)))
}

/** What the descriptors of this process point to. */
export function descriptors(): Set<string> {
  const found = new Set<string>()
  for (const fd of readdirSync("/proc/self/fd")) {
    try {
      found.add(readlinkSync(`/proc/self/fd/${fd}`))
    } catch {
      // Closed since the folder was read: the descriptor of the folder itself, for one.
      continue
    }
  }
  return found
}

// TCP ports of this machine.
import { readFileSync } from "node:fs"

/** LISTEN in the state column of /proc/net/tcp. */
const LISTENING = "0A"

/** A port that nobody listened on a moment ago, on any address. */
export function freePort(): number {
  const listener = Bun.listen({ hostname: "::", port: 0, socket: { data() {} } })
  listener.stop(true)
  return listener.port
}

/** The sockets that listen on a port, as `inode local-address` of /proc/net/tcp and tcp6. */
export function listeningOn(port: number): string[] {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, "0")}`
  return ["tcp", "tcp6"].flatMap((table) =>
    readFileSync(`/proc/self/net/${table}`, "utf8")
      .split("\n")
      .map((line) => line.trim().split(/\s+/))
      .filter((columns) => columns[3] === LISTENING && columns[1]?.endsWith(wanted))
      .map((columns) => `${columns[9]} ${columns[1]}`),
  )
}

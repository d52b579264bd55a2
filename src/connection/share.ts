// How many clients may take places without being served: so few that they never keep the others out, neither of the
// gateway nor of a listener that has a cap of its own.
import type { Connection } from "./connection.ts"

/** A quarter of the connections of each kind. */
const SHARE = 4

/** Connections that only wait: `delayed` of themselves, by a policy; `shaking` for the rest of the client's handshake. */
export interface Waiting {
  delayed: number
  shaking: number
}

/** Counts a connection in, or out again. */
export function count({ listener, path }: Connection, kind: keyof Waiting, by: 1 | -1): void {
  path[kind] += by
  listener[kind] += by
}

/** Whether there are as many of this kind as there may be. */
export function isTaken({ listener, path }: Connection, kind: keyof Waiting): boolean {
  const { maxConnections } = listener.plan
  if (path[kind] >= shareOf(path.cap)) return true
  return maxConnections !== undefined && listener[kind] >= shareOf(maxConnections)
}

/** One place at least is not theirs. */
function shareOf(connections: number): number {
  return Math.min(Math.ceil(connections / SHARE), connections - 1)
}

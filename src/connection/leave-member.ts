// A target of a pool is not to be waited for any longer: its connections go on to another one as far as they can.
import type { Member } from "../upstream/member.ts"
import type { Leaving } from "../upstream/pool.ts"
import { State, type Connection } from "./connection.ts"
import type { DataPath } from "./data-path.ts"
import { tryNextTarget, type Dial } from "./dial.ts"
import { unused } from "./relay.ts"

/** What has become of the connections. */
export interface Left {
  /** Go on to another target: nobody notices. */
  readonly moved: number
  readonly closed: number
}

/**
 * Connections that only try to reach a member go on to another target, and so do those that it has said nothing to and
 * heard nothing from, as long as the pool has retries to spare. The rest waits for what comes, or is reset where `all` are
 * to go.
 */
export function leaveMember(path: DataPath, member: Member, who: Leaving, why: string): Left {
  let moved = 0
  let closed = 0
  let spare: number | undefined = undefined
  for (const connection of Array.from(path.live)) {
    const { dial, state } = connection
    if (dial?.member !== member || (state !== State.dialling && state !== State.relaying)) continue
    spare ??= dial.pool!.spareRetries
    if (spare > 0 && dial.more && moves(connection, dial, who, why)) {
      spare--
      moved++
    } else if (who === "all") {
      closed++
      close(connection, dial, why)
    }
  }
  return { moved, closed }
}

function moves(connection: Connection, dial: Dial, who: Leaving, why: string): boolean {
  if (connection.state === State.dialling) {
    dial.giveUp(why)
    return true
  }
  return who !== "attempts" && unused(connection) && tryNextTarget(connection, why)
}

function close(connection: Connection, dial: Dial, why: string): void {
  if (connection.state === State.dialling) return dial.giveUp(why)
  dial.error = why
  connection.abort("upstream-closed", "gateway")
}

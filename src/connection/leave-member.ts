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
  /** Could go on to another target if the pool had more retries to spare now. */
  readonly waiting: number
}

/**
 * Connections that only try to reach a member go on to another target, and so do those that it has said nothing to and
 * heard nothing from, as long as the pool has retries to spare. The rest waits for what comes, or is reset where `all` are
 * to go.
 */
export function leaveMember(path: DataPath, member: Member, who: Leaving, why: string): Left {
  const left = { moved: 0, closed: 0, waiting: 0 }
  let spare: number | undefined = undefined
  for (const connection of Array.from(path.live)) {
    const { dial, state } = connection
    if (dial?.member !== member || (state !== State.dialling && state !== State.relaying)) continue
    spare ??= dial.pool!.spareRetries
    if (isUntouched(connection, who) && dial.hasOther) {
      if (spare > 0 && moves(connection, dial, why)) {
        spare--
        left.moved++
      } else left.waiting++
    } else if (who === "all") {
      left.closed++
      close(connection, dial, why)
    }
  }
  return left
}

function isUntouched(connection: Connection, who: Leaving): boolean {
  return connection.state === State.dialling || (who !== "attempts" && unused(connection))
}

function moves(connection: Connection, dial: Dial, why: string): boolean {
  if (connection.state === State.relaying) return tryNextTarget(connection, why)
  dial.goElsewhere(why)
  return true
}

function close(connection: Connection, dial: Dial, why: string): void {
  if (connection.state === State.dialling) return dial.goElsewhere(why)
  dial.error = why
  connection.abort("upstream-closed", "gateway")
}

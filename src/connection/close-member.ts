// A target of a pool is not to have connections any more: it fails its checks, or an operator says so.
import type { CloseReason } from "../policy/connection.ts"
import type { Member } from "../upstream/member.ts"
import { State } from "./connection.ts"
import type { DataPath } from "./data-path.ts"

/** Resets its connections; who is only trying to reach it goes on to another target. Returns how many there were. */
export function closeMember(path: DataPath, member: Member, reason: CloseReason, why: string): number {
  let closed = 0
  for (const connection of Array.from(path.live)) {
    const { dial } = connection
    if (dial === undefined || dial.member !== member) continue
    closed++
    if (connection.state === State.dialling) dial.giveUp(why)
    else {
      dial.error = why
      connection.abort(reason, "gateway")
    }
  }
  return closed
}

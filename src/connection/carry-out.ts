// From a decision to the stage that does it.
import { continuationOf, type Decision, type RouteFailure } from "../policy/decision.ts"
import { answer } from "./answer.ts"
import type { Connection } from "./connection.ts"
import { dial, type DialOutcome } from "./dial.ts"
import { deny, refuse } from "./ending.ts"
import { startRelay } from "./relay.ts"

const afterDial: DialOutcome = {
  connected: startRelay,
  failed(connection, tried) {
    if (goOn(connection, tried === 0 ? "no-target" : "dial-failed")) return
    if (tried === 0) refuse(connection, "no-target")
    else refuse(connection, "dial-failed", "upstream")
  },
  limited(connection, why) {
    if (goOn(connection, "limit-reached", why)) return
    connection.reason = why
    refuse(connection, "limit-reached")
  },
}

/** Does what stands behind `.or()`, or lets the policy go on, if there is such a thing. */
function goOn(connection: Connection, code: RouteFailure["code"], why?: string): boolean {
  const { decision, dial: dialled, path } = connection
  if (decision?.action !== "route") return false
  if (decision.otherwise !== undefined) {
    carryOut(connection, decision.otherwise)
    return true
  }
  const continuation = continuationOf(decision)
  if (continuation === undefined) return false
  path.stages.goOn(connection, continuation, { code, message: why ?? dialled?.error ?? "" })
  return true
}

/** Does what was decided. */
export function carryOut(connection: Connection, decision: Decision): void {
  connection.decision = decision
  switch (decision.action) {
    case "route":
      return dial(connection, decision, afterDial)
    case "deny":
      return deny(connection, decision)
    case "respond":
      return answer(connection, decision)
  }
}

// From a decision to the stage that does it.
import type { Decision } from "../policy/decision.ts"
import { answer } from "./answer.ts"
import type { Connection } from "./connection.ts"
import { dial, type DialOutcome } from "./dial.ts"
import { deny, refuse } from "./ending.ts"
import { startRelay } from "./relay.ts"

const afterDial: DialOutcome = {
  connected: startRelay,
  failed(connection, tried) {
    if (goOn(connection)) return
    if (tried === 0) refuse(connection, "no-target")
    else refuse(connection, "dial-failed", "upstream")
  },
  limited(connection, why) {
    if (goOn(connection)) return
    connection.reason = why
    refuse(connection, "limit-reached")
  },
}

/** Does what stands behind `.or()`, if anything does. */
function goOn(connection: Connection): boolean {
  const { decision } = connection
  if (decision?.action !== "route" || decision.otherwise === undefined) return false
  carryOut(connection, decision.otherwise)
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

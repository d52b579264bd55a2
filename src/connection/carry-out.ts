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
    const { decision } = connection
    const otherwise = decision?.action === "route" ? decision.otherwise : undefined
    if (otherwise !== undefined) return carryOut(connection, otherwise)
    if (tried === 0) refuse(connection, "no-target")
    else refuse(connection, "dial-failed", "upstream")
  },
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

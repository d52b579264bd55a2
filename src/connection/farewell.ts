// What a client is told before its connection is closed: an alert where it waits for a TLS handshake that never comes,
// an error where it speaks PostgreSQL to a PostgreSQL listener.
import type { ListenerPlan } from "../config/snapshot.ts"
import type { CloseReason } from "../policy/connection.ts"
import { alert, type Alert } from "../protocol/alert.ts"
import { postgresError } from "../protocol/refusal/postgres.ts"
import type { Connection } from "./connection.ts"

/** too_many_connections, as PostgreSQL has it. */
const TOO_MANY = { text: "too many connections", code: "53300" }

/** The last bytes for a client that is refused; `undefined` where nothing can be said. */
export function farewell(connection: Connection, reason: CloseReason): Uint8Array | undefined {
  const { hello, plan, postgres, termination } = connection
  const encrypted = termination?.begun === true
  if (hello !== undefined && !encrypted) return alert(alertFor(reason))
  if (reason === "limit-reached" && hello === undefined && postgres === undefined) return early(plan)
  if (plan.scheme !== "postgres" || postgres === undefined) return undefined
  // Who cancels reads nothing. Who was promised TLS takes nothing in plain text: that is what an attacker would say.
  if (postgres.kind !== "startup" && !encrypted) return undefined
  const { text, code } = postgresReason(connection, reason)
  return postgresError(text, code)
}

/** Nothing of the client was read: what it says first crosses this, and it takes it for the answer. */
function early({ scheme }: ListenerPlan): Uint8Array | undefined {
  if (scheme === "tls") return alert(alertFor("limit-reached"))
  return scheme === "postgres" ? postgresError(TOO_MANY.text, TOO_MANY.code) : undefined
}

export function alertFor(reason: CloseReason): Alert {
  switch (reason) {
    case "denied":
    case "no-decision":
    case "limit-reached":
      return "access_denied"
    case "no-policy":
      return "unrecognized_name"
    case "hello-invalid":
    case "preread-too-large":
      return "decode_error"
    default:
      return "internal_error"
  }
}

/** What psql prints. Why a policy failed or an upstream was not reached is for the log, not for the client. */
function postgresReason(connection: Connection, reason: CloseReason): { text: string; code: string } {
  switch (reason) {
    case "denied":
      return { text: connection.reason ?? "connection denied", code: "28000" }
    case "dial-failed":
    case "no-target":
      return { text: "the database cannot be reached", code: "08006" }
    case "no-policy":
    case "no-decision":
      return { text: "no database is served here under that name", code: "28000" }
    case "limit-reached":
      return TOO_MANY
    default:
      return { text: "the connection was refused", code: "08004" }
  }
}

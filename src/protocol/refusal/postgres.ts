// PostgreSQL's ErrorResponse (protocol 3, "Message Formats" and "Error and Notice Message Fields").
import { line } from "./line.ts"
import { be32, packet } from "./packet.ts"

/** invalid_authorization_specification: what pg_hba.conf answers to a client that it does not let in. */
const NOT_ALLOWED = "28000"

/** A fatal error with this SQLSTATE, for a client that has sent its StartupMessage. */
export function postgresError(reason: string | undefined, code = NOT_ALLOWED): Uint8Array {
  const fields = packet(`SFATAL\0VFATAL\0C${code}\0M${line(reason)}\0\0`)
  return packet("E", be32(4 + fields.length), fields)
}

// PostgreSQL: the packet that a client starts with (protocol 3, "Message Formats": StartupMessage, SSLRequest,
// GSSENCRequest, CancelRequest). With PostgreSQL 17 a client may start TLS instead, which is the protocol tls.
import { u16, u32, utf8 } from "./bytes.ts"

/** How a PostgreSQL client starts. */
export type Postgres =
  | {
      readonly protocol: "postgres"
      readonly kind: "startup"
      /** `"3.0"` */
      readonly version: string
      readonly user: string | undefined
      /** The user's name where the client names no database, as the server takes it. */
      readonly database: string | undefined
      readonly applicationName: string | undefined
    }
  | {
      readonly protocol: "postgres"
      /** Asks for TLS, asks for GSSAPI encryption, or cancels a query of another connection. */
      readonly kind: "ssl-request" | "gss-request" | "cancel"
    }

/** MAX_STARTUP_PACKET_LENGTH of the server. */
const LONGEST_PACKET = 10_000
const CANCEL = 80_877_102
const SSL = 80_877_103
const GSS = 80_877_104
/** A cancel key has 4 bytes in protocol 3.0 and up to 256 in 3.2, behind a header of 12. */
const CANCEL_LENGTHS = { least: 16, most: 268 }

export function postgres(bytes: Uint8Array): Postgres | "more" | undefined {
  // The length's upper half is zero for every packet that a server takes.
  if ((bytes[0] ?? 0) !== 0 || (bytes[1] ?? 0) !== 0) return undefined
  if (bytes.length < 4) return "more"
  const length = u32(bytes, 0)
  if (length < 8 || length > LONGEST_PACKET) return undefined
  // No code starts with another byte than 0 (version 3) or 4 (the requests).
  if (bytes.length > 4 && bytes[4] !== 0 && bytes[4] !== 4) return undefined
  if (bytes.length < 8) return "more"
  const code = u32(bytes, 4)
  if (code === SSL) return length === 8 ? { protocol: "postgres", kind: "ssl-request" } : undefined
  if (code === GSS) return length === 8 ? { protocol: "postgres", kind: "gss-request" } : undefined
  if (code === CANCEL) {
    if (length < CANCEL_LENGTHS.least || length > CANCEL_LENGTHS.most) return undefined
    return bytes.length < length ? "more" : { protocol: "postgres", kind: "cancel" }
  }
  if (code >>> 16 !== 3) return undefined
  return bytes.length < length ? "more" : startup(bytes, length)
}

/** Pairs of name and value, each ended by a zero byte, and one more zero byte. Of a name given twice the last counts, as for the server. */
function startup(bytes: Uint8Array, length: number): Postgres | undefined {
  let user: string | undefined
  let database: string | undefined
  let applicationName: string | undefined
  let at = 8
  while (at < length && bytes[at] !== 0) {
    const nameEnd = bytes.indexOf(0, at)
    const valueEnd = bytes.indexOf(0, nameEnd + 1)
    if (nameEnd < 0 || valueEnd < 0 || valueEnd >= length) return undefined
    const name = utf8(bytes, at, nameEnd)
    if (name === "user") user = utf8(bytes, nameEnd + 1, valueEnd)
    else if (name === "database") database = utf8(bytes, nameEnd + 1, valueEnd)
    else if (name === "application_name") applicationName = utf8(bytes, nameEnd + 1, valueEnd)
    at = valueEnd + 1
  }
  if (at !== length - 1) return undefined
  const version = `${u16(bytes, 4)}.${u16(bytes, 6)}`
  return { protocol: "postgres", kind: "startup", version, user, database: database || user, applicationName }
}

// Microsoft SQL Server: the PRELOGIN packet of TDS 7.1 to 7.4 (MS-TDS 2.2.6.5). TDS 8.0 starts TLS, which is the protocol tls.
import { latin1, u16 } from "./bytes.ts"

/** A SQL Server client before its login. */
export interface Mssql {
  readonly protocol: "mssql"
  /** What the client wants encrypted: the login alone, everything, nothing because it cannot, or nothing said. */
  readonly encryption: "off" | "on" | "not-supported" | "required" | undefined
  /** The instance that the client names, in lower case. */
  readonly instance: string | undefined
}

const PRELOGIN = 0x12
const END_OF_MESSAGE = 0x01
const HEADER = 8
/** 4 KiB: MS-TDS 2.2.3.1 caps a packet before the login at 4,096 bytes. */
const LONGEST_PACKET = 4096

const VERSION = 0
const ENCRYPTION = 1
const INSTANCE = 2
const TERMINATOR = 0xff
const ENCRYPTIONS = ["off", "on", "not-supported", "required"] as const

export function mssql(bytes: Uint8Array): Mssql | "more" | undefined {
  if (bytes.length > 0 && bytes[0] !== PRELOGIN) return undefined
  if (bytes.length > 1 && bytes[1] !== END_OF_MESSAGE) return undefined
  if (bytes.length < 4) return "more"
  const length = u16(bytes, 2)
  if (length < HEADER + 6 || length > LONGEST_PACKET) return undefined
  // The version comes first, always.
  if (bytes.length > HEADER && bytes[HEADER] !== VERSION) return undefined
  return bytes.length < length ? "more" : options(bytes, length)
}

/** A table of token (1), offset (2) and length (2), counted from the end of the header. */
function options(bytes: Uint8Array, length: number): Mssql | undefined {
  let encryption: Mssql["encryption"]
  let instance: string | undefined
  for (let at = HEADER; at < length; at += 5) {
    const token = bytes[at]
    if (token === TERMINATOR) return { protocol: "mssql", encryption, instance }
    if (at + 5 > length) return undefined
    const from = HEADER + u16(bytes, at + 1)
    const size = u16(bytes, at + 3)
    if (from + size > length) return undefined
    if (token === ENCRYPTION && size > 0) encryption = ENCRYPTIONS[bytes[from]! & 0x03]
    if (token === INSTANCE && size > 1)
      instance = latin1(bytes, from, from + size)
        .split("\0", 1)[0]!
        .toLowerCase()
  }
  return undefined
}

// MySQL and MariaDB: the server speaks first, so that a client which waits for it is known by its silence alone. What
// is read here is the client's answer to a greeting: its TLS request or its login (Protocol::SSLRequest, HandshakeResponse41).
import { u16le, u24, utf8, within } from "./bytes.ts"

/** A MySQL client's answer to the server's greeting. */
export interface Mysql {
  readonly protocol: "mysql"
  readonly kind: "ssl-request" | "login"
  readonly user: string | undefined
  readonly database: string | undefined
}

const CONNECT_WITH_DB = 0x0008
const PROTOCOL_41 = 0x0200
const SSL = 0x0800
const SECURE_CONNECTION = 0x8000
/** In the upper half of the capabilities. */
const AUTH_LENENC = 0x0020
/** Header (4), capabilities (4), packet size (4), character set (1), reserved (23): all of an SSLRequest. */
const FIXED = 36
/** 8 KiB: names, an answer to the challenge and connection attributes; clients of today send 300 bytes. */
const LONGEST_PACKET = 8192

export function mysql(bytes: Uint8Array): Mysql | "more" | undefined {
  if (bytes.length < 4) return bytes.length < 3 || bytes[2] === 0 ? "more" : undefined
  const length = 4 + (bytes[0]! | (bytes[1]! << 8))
  // The sequence number is 1: the greeting was 0.
  if (u24(bytes, 2) >> 8 !== 1 || length < FIXED || length > LONGEST_PACKET) return undefined
  if (bytes.length > 5 && (u16le(bytes, 4) & PROTOCOL_41) === 0) return undefined
  // MariaDB uses the last 4 of the reserved bytes.
  if (!within(bytes, 13, Math.min(bytes.length, 32), 0, 0)) return undefined
  if (bytes.length < Math.min(length, FIXED)) return "more"
  const capabilities = u16le(bytes, 4)
  if (length === FIXED) {
    if ((capabilities & SSL) === 0) return undefined
    return { protocol: "mysql", kind: "ssl-request", user: undefined, database: undefined }
  }
  return bytes.length < length ? "more" : login(bytes, length, capabilities)
}

function login(bytes: Uint8Array, length: number, capabilities: number): Mysql | undefined {
  const userEnd = bytes.indexOf(0, FIXED)
  if (userEnd < 0 || userEnd >= length) return undefined
  const user = utf8(bytes, FIXED, userEnd)
  if ((capabilities & CONNECT_WITH_DB) === 0) return { protocol: "mysql", kind: "login", user, database: undefined }
  const from = afterAnswer(bytes, userEnd + 1, capabilities)
  const databaseEnd = bytes.indexOf(0, from)
  if (from > length || databaseEnd < 0 || databaseEnd >= length) return undefined
  return { protocol: "mysql", kind: "login", user, database: utf8(bytes, from, databaseEnd) || undefined }
}

/** Where the answer to the challenge ends that starts at `at`: it has a length in front, or a zero byte behind. */
function afterAnswer(bytes: Uint8Array, at: number, capabilities: number): number {
  const size = bytes[at] ?? 0
  const isEncoded = (u16le(bytes, 6) & AUTH_LENENC) !== 0
  if (isEncoded && size > 0xfa) {
    return size === 0xfc ? at + 3 + u16le(bytes, at + 1) : bytes.length
  }
  if (isEncoded || (capabilities & SECURE_CONNECTION) !== 0) return at + 1 + size
  const end = bytes.indexOf(0, at)
  return end < 0 ? bytes.length : end + 1
}

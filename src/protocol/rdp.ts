// RDP: the X.224 connection request (MS-RDPBCGR 2.2.1.1). Other protocols start with the same X.224 request, so one that
// carries nothing of RDP's own names nothing.
import { begins, latin1, u16, u16le, u32le, within } from "./bytes.ts"

/** The connection request of an RDP client. */
export interface Rdp {
  readonly protocol: "rdp"
  /** The value of `Cookie: mstshash=`: a user's name, often cut. */
  readonly cookie: string | undefined
  /** What a load balancer asked the client to send: the value of `Cookie: msts=`, or another line of text. */
  readonly routingToken: string | undefined
  /** The security protocols offered, by the names of MS-RDPBCGR 2.2.1.1.1; `["rdp"]` without any. */
  readonly security: readonly string[]
}

/** TPKT (RFC 1006): version 3, reserved, length. X.224: length, type 0xe0, two references, class 0. */
const HEADER = 11
const LONGEST = 5 + 254
const SECURITY = ["tls", "credssp", "rdstls", "credssp-early-auth", "aad"]

export function rdp(bytes: Uint8Array): Rdp | "more" | undefined {
  const start = begins(bytes, "\x03\0")
  if (start !== true) return start || undefined
  if (bytes.length < 4) return bytes.length < 3 || bytes[2]! <= 1 ? "more" : undefined
  const length = u16(bytes, 2)
  if (length <= HEADER || length > LONGEST) return undefined
  if (bytes.length > 4 && bytes[4] !== length - 5) return undefined
  const fixed = begins(bytes, "\xe0\0\0", 5)
  if (fixed === false) return undefined
  // The client's reference is unused, and the class is 0.
  if (bytes.length >= HEADER && bytes[10] !== 0) return undefined
  return bytes.length < length ? "more" : request(bytes, length)
}

function request(bytes: Uint8Array, end: number): Rdp | undefined {
  const line = lineAt(bytes, HEADER, end)
  if (line === undefined) return undefined
  const security = securityAt(bytes, line.end, end)
  if (security === undefined) return undefined
  return { protocol: "rdp", cookie: line.cookie, routingToken: line.routingToken, security }
}

interface Line {
  readonly cookie: string | undefined
  readonly routingToken: string | undefined
  readonly end: number
}

const MSTSHASH = "Cookie: mstshash="
const MSTS = "Cookie: msts="

/** The optional line of text, which a routing token may wrap once more into TPKT and X.224 headers. */
function lineAt(bytes: Uint8Array, at: number, end: number): Line | undefined {
  if (bytes[at] === 0x01) return { cookie: undefined, routingToken: undefined, end: at }
  let from = at
  let to: number | undefined
  if (bytes[at] === 0x03) {
    to = at + u16(bytes, at + 2)
    from = at + HEADER
    if (begins(bytes, "\x03\0", at) !== true || to > end || bytes[at + 4] !== to - at - 5) return undefined
    if (begins(bytes, MSTS, from) !== true) return undefined
  }
  const cr = bytes.indexOf(13, from)
  if (cr <= from || cr + 2 > end || bytes[cr + 1] !== 10 || (to !== undefined && cr + 2 !== to)) return undefined
  if (!within(bytes, from, cr, 0x20, 0x7e)) return undefined
  const text = latin1(bytes, from, cr)
  if (text.startsWith(MSTSHASH)) return { cookie: text.slice(MSTSHASH.length), routingToken: undefined, end: cr + 2 }
  return { cookie: undefined, routingToken: text.startsWith(MSTS) ? text.slice(MSTS.length) : text, end: cr + 2 }
}

/** CORRELATION_INFO_PRESENT */
const CORRELATION = 0x08
const FLAGS = 0x0b

/** RDP_NEG_REQ (8 bytes: type 1, flags, length, protocols) and, if its flags say so, RDP_NEG_CORRELATION_INFO (36). */
function securityAt(bytes: Uint8Array, at: number, end: number): readonly string[] | undefined {
  if (at === end) return ["rdp"]
  const flags = bytes[at + 1] ?? 0
  if (at + 8 > end || bytes[at] !== 1 || (flags & ~FLAGS) !== 0 || u16le(bytes, at + 2) !== 8) return undefined
  const correlation = at + 8
  if ((flags & CORRELATION) === 0 ? correlation !== end : correlation + 36 !== end) return undefined
  if (correlation < end && begins(bytes, "\x06\0\x24\0", correlation) !== true) return undefined
  const protocols = u32le(bytes, at + 4)
  const names = SECURITY.filter((_, bit) => (protocols & (1 << bit)) !== 0)
  return names.length === 0 ? ["rdp"] : names
}

// DNS over TCP (RFC 1035 section 4.2.2): one query, with its length in front.
import { u16 } from "./bytes.ts"

/** The first question of a DNS client. */
export interface Dns {
  readonly protocol: "dns"
  /** In lower case, without a trailing dot; bytes that are not printable as `\DDD`. The root is `"."`. */
  readonly name: string
  /** By number: 1 A, 28 AAAA, 252 AXFR. */
  readonly type: number
}

const HEADER = 12
/** A header, the root and its type and class. */
const SHORTEST = HEADER + 5
/** 4 KiB: a query is one name, cookies and padding (RFC 8467) to a multiple of 128; few other protocols begin so. */
const LONGEST = 4096
/** RD, AD and CD may be set in a query; a response, another operation or an error code is none. */
const QUERY_FLAGS = 0x0130
const LONGEST_NAME = 255
/** IN, CH, HS, NONE, ANY. */
const CLASSES = new Set([1, 3, 4, 254, 255])

export function dns(bytes: Uint8Array): Dns | "more" | undefined {
  if (bytes.length > 0 && bytes[0]! > LONGEST >> 8) return undefined
  if (bytes.length < 2) return "more"
  const length = u16(bytes, 0)
  if (length < SHORTEST || length > LONGEST) return undefined
  // Id (2), flags (2), one question, no answer, at most one authority (IXFR) and two additional records.
  if (((bytes[4] ?? 0) << 8) & ~QUERY_FLAGS || (bytes[5] ?? 0) & ~QUERY_FLAGS & 0xff) return undefined
  if ((bytes[6] ?? 0) !== 0 || (bytes[7] ?? 1) !== 1 || (bytes[8] ?? 0) !== 0 || (bytes[9] ?? 0) !== 0) return undefined
  if ((bytes[10] ?? 0) !== 0 || (bytes[11] ?? 0) > 1 || (bytes[12] ?? 0) !== 0 || (bytes[13] ?? 0) > 2) return undefined
  if (bytes.length < 2 + SHORTEST) return "more"
  return question(bytes, 2 + HEADER, 2 + length)
}

function question(bytes: Uint8Array, from: number, end: number): Dns | "more" | undefined {
  const labels: string[] = []
  let at = from
  for (let size = bytes[at]; size !== 0; size = bytes[at]) {
    if (size === undefined) return "more"
    if (size > 63) return undefined
    const next = at + 1 + size
    if (next - from >= LONGEST_NAME || next >= end) return undefined
    if (next > bytes.length) return "more"
    labels.push(label(bytes, at + 1, next))
    at = next
  }
  if (at + 5 > end) return undefined
  if (at + 5 > bytes.length) return "more"
  const type = u16(bytes, at + 1)
  if (type === 0 || !CLASSES.has(u16(bytes, at + 3))) return undefined
  return { protocol: "dns", name: labels.join(".") || ".", type }
}

/** RFC 1035 section 5.1, "Format". */
function label(bytes: Uint8Array, from: number, to: number): string {
  let text = ""
  for (let at = from; at < to; at++) {
    const byte = bytes[at]!
    const isPlain = byte > 0x20 && byte < 0x7f && byte !== 0x2e && byte !== 0x5c
    text += isPlain ? String.fromCharCode(byte) : `\\${String(byte).padStart(3, "0")}`
  }
  return text.toLowerCase()
}

// STUN and TURN over TCP (RFC 8489, RFC 8656), also with the length in front that ICE-TCP puts there (RFC 4571).
import { begins, u16, utf8 } from "./bytes.ts"

/** The first message of a STUN or TURN client. */
export interface Stun {
  /** `turn` for a client that asks for a relay. */
  readonly protocol: "stun" | "turn"
  /** The user name: of ICE, the two fragments `server:client`. */
  readonly user: string | undefined
}

/** Requests and the indication that a client may start with: Binding and Allocate. */
const TYPES: Record<number, Stun["protocol"]> = { 0x0001: "stun", 0x0011: "stun", 0x0003: "turn" }
const COOKIE = "\x21\x12\xa4\x42"
const HEADER = 20
/** 2 KiB: more than one datagram of STUN holds. */
const LONGEST_MESSAGE = 2048
const USERNAME = 0x0006

export function stun(bytes: Uint8Array): Stun | "more" | undefined {
  const plain = message(bytes, 0)
  if (plain !== undefined) return plain
  if (bytes.length < 2) return "more"
  const length = u16(bytes, 0)
  if (length < HEADER || length > HEADER + LONGEST_MESSAGE) return undefined
  // The frame holds the message and nothing else.
  if (bytes.length >= 6 && u16(bytes, 4) !== length - HEADER) return undefined
  return message(bytes, 2)
}

function message(bytes: Uint8Array, at: number): Stun | "more" | undefined {
  if ((bytes[at] ?? 0) !== 0) return undefined
  if (bytes.length < at + 2) return "more"
  const protocol = TYPES[u16(bytes, at)]
  if (protocol === undefined) return undefined
  if (bytes.length < at + 4) return "more"
  const length = u16(bytes, at + 2)
  const cookie = begins(bytes, COOKIE, at + 4)
  if (length % 4 !== 0 || length > LONGEST_MESSAGE || cookie === false) return undefined
  const end = at + HEADER + length
  return bytes.length < end ? "more" : { protocol, user: userName(bytes, at + HEADER, end) }
}

/** Attributes are type (2), length (2) and a value filled up to a multiple of four. */
function userName(bytes: Uint8Array, from: number, end: number): string | undefined {
  for (let at = from; at + 4 <= end;) {
    const value = at + 4
    const length = u16(bytes, at + 2)
    if (value + length > end) return undefined
    if (u16(bytes, at) === USERNAME) return utf8(bytes, value, value + length)
    at = value + length + ((4 - (length % 4)) % 4)
  }
  return undefined
}

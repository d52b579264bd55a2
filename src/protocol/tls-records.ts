// From TLS records to the handshake message they carry, for the first message of a client. A hello may be cut into
// records anywhere (RFC 8446 section 5.1), and a reader that takes the first record for the message can be steered to
// a wrong server name. Every way to keep a reader waiting ends in a named error.
import { u16, u24 } from "./bytes.ts"

/** 16 KiB for the handshake message: the largest hello seen, with several post-quantum key shares, takes 11 kB. */
export const HELLO_LIMIT = 16_384

/**
 * 20 KiB on the wire: a hello of {@link HELLO_LIMIT} bytes and 819 record headers. Clients cut into pieces of 512 bytes
 * (RFC 6066 section 4) or more; a hello of 3.4 kB may arrive in records of one byte each.
 */
export const HELLO_WIRE_LIMIT = HELLO_LIMIT + 4096

/** RFC 8446 section 5.1: a record of plain text holds at most 2^14 bytes. A client does not encrypt its hello. */
const RECORD_LIMIT = 16_384

const RECORD_HEADER = 5
const HANDSHAKE = 22
const CLIENT_HELLO = 1
/** Type and length in front of a handshake message. */
const MESSAGE_HEADER = 4

/** Why bytes that began as TLS are no ClientHello. */
export interface HelloInvalid {
  readonly error:
    /** A hello in the format of SSL 2.0 (RFC 5246 appendix E.2), which has no server name. */
    | "sslv2"
    /** A record that claims more than 2^14 bytes. */
    | "record-too-large"
    /** A record without content (RFC 8446 section 5.1 forbids it for handshake messages). */
    | "empty-record"
    /** An alert or anything else between the records of the hello (RFC 8446 section 5.1). */
    | "interleaved-record"
    /** A handshake message of another type. */
    | "not-a-client-hello"
    /** Over {@link HELLO_LIMIT}, or cut so fine that it is over {@link HELLO_WIRE_LIMIT}. */
    | "too-large"
    /** Lengths that contradict each other, or a field that RFC 8446 does not allow. */
    | "malformed"
  /** One line for the log. */
  readonly detail: string
}

export function invalid(error: HelloInvalid["error"], detail: string): HelloInvalid {
  return { error, detail }
}

/** Where a handshake message lies: in the bytes as they came, or in a copy without the record headers. */
export interface Message {
  readonly bytes: Uint8Array
  readonly start: number
  readonly end: number
}

/** The first handshake message of a client, once all of it is there; `undefined` for what is not TLS. */
export function helloMessage(bytes: Uint8Array): Message | "more" | HelloInvalid | undefined {
  if (bytes.length === 0) return "more"
  if (bytes[0] !== HANDSHAKE) return sslv2(bytes)
  if (bytes.length > 1 && bytes[1] !== 3) return undefined
  let at = 0
  let before = 0
  let size: number | undefined
  while (at < bytes.length) {
    if (bytes[at] !== HANDSHAKE) {
      return invalid("interleaved-record", `a record of type ${bytes[at]} inside the hello`)
    }
    if (at + 1 < bytes.length && bytes[at + 1] !== 3) return invalid("malformed", "a record of no TLS version")
    if (at + RECORD_HEADER > bytes.length) break
    const length = u16(bytes, at + 3)
    if (length === 0) return invalid("empty-record", "a handshake record without content")
    if (length > RECORD_LIMIT) return invalid("record-too-large", `a record of ${length} bytes`)
    const payload = at + RECORD_HEADER
    const there = before + Math.min(length, bytes.length - payload)
    if (before === 0 && there > 0 && bytes[payload] !== CLIENT_HELLO) {
      return invalid("not-a-client-hello", `a handshake message of type ${bytes[payload]}`)
    }
    if (size === undefined && there >= MESSAGE_HEADER) {
      size = MESSAGE_HEADER + messageLength(bytes, before, payload)
      if (size > HELLO_LIMIT) return invalid("too-large", `a hello of ${size} bytes`)
    }
    if (size !== undefined && before + length >= size) return last(bytes, at, before, length, size)
    before += length
    at = payload + length
  }
  return bytes.length < HELLO_WIRE_LIMIT ? "more" : tooLong()
}

/** The record at `at` holds the end of the message: of its `size` bytes, `before` came in earlier records. */
function last(bytes: Uint8Array, at: number, before: number, length: number, size: number) {
  if (before + length > size) return invalid("malformed", "bytes behind the hello in its record")
  const end = at + RECORD_HEADER + length
  if (end > HELLO_WIRE_LIMIT) return tooLong()
  if (end > bytes.length) return "more"
  if (before === 0) return { bytes, start: RECORD_HEADER, end }
  return { bytes: joined(bytes, size), start: 0, end: size }
}

function tooLong(): HelloInvalid {
  return invalid("too-large", `no whole hello in ${HELLO_WIRE_LIMIT} bytes`)
}

/** The length in the message's header, whose four bytes may lie in four records. */
function messageLength(bytes: Uint8Array, before: number, payload: number): number {
  return before === 0 ? u24(bytes, payload + 1) : u24(joined(bytes, MESSAGE_HEADER), 1)
}

/** The first `size` bytes that the records carry. */
function joined(bytes: Uint8Array, size: number): Uint8Array {
  const message = new Uint8Array(size)
  let filled = 0
  for (let at = 0; filled < size && at + RECORD_HEADER <= bytes.length;) {
    const payload = at + RECORD_HEADER
    const length = u16(bytes, at + 3)
    const part = bytes.subarray(payload, payload + Math.min(length, size - filled))
    message.set(part, filled)
    filled += part.length
    at = payload + length
  }
  return message
}

/** Two bytes of length with the top bit set, the type and a version: how a hello of SSL 2.0 begins. */
function sslv2(bytes: Uint8Array): HelloInvalid | "more" | undefined {
  const at = (i: number) => bytes[i]
  if ((at(0)! & 0x80) === 0) return undefined
  if (at(2) === undefined) return "more"
  if (at(2) !== CLIENT_HELLO) return undefined
  // Nine bytes: type, version and three lengths.
  if ((u16(bytes, 0) & 0x7fff) < 9) return undefined
  if (at(3) === undefined) return "more"
  if (at(3) !== 0 && at(3) !== 3) return undefined
  if (at(4) === undefined) return "more"
  if (at(3) === 0 ? at(4) !== 2 : at(4)! > 4) return undefined
  return invalid("sslv2", "a hello in the format of SSL 2.0")
}

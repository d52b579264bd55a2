// Version 2 of the PROXY header: binary (proxy-protocol.txt, section 2.2).
import { u16, u32, utf8 } from "./bytes.ts"
import { crc32c } from "./crc32c.ts"
import { SIGNATURE_2 } from "./proxy.ts"
import { invalid, type ProxyAddress, type ProxyHeader, type ProxyInvalid } from "./proxy-fields.ts"
import { NO_TLVS, readTlvs, type ProxyTlvs } from "./proxy-tlvs.ts"

/** Signature, version and command, family and transport, length. */
const FIXED = 16
/** 64 KiB and 15 bytes: what the length can say. Only senders that are trusted are read that far. */
export const BINARY_LIMIT = FIXED + 0xffff

const COMMAND = { local: 0, proxy: 1 } as const
const FAMILIES = ["unspecified", "IPv4", "IPv6", "unix"] as const
/** Bytes of two addresses and their ports, in the order of the families. */
const SIZES = [0, 12, 36, 216] as const
/** Unspecified, stream, datagram. */
const TRANSPORTS = 3
const UNIX_PATH = 108

/** How many bytes a header that begins like this has at least. */
export function binaryLength(bytes: Uint8Array): number {
  return bytes.length < FIXED ? FIXED : FIXED + u16(bytes, FIXED - 2)
}

/** Reads a header that begins with the signature. */
export function parseProxyBinary(bytes: Uint8Array): ProxyHeader | "more" | ProxyInvalid {
  const at = SIGNATURE_2.length
  const versionAndCommand = bytes[at]
  if (versionAndCommand === undefined) return "more"
  if (versionAndCommand >> 4 !== 2) return invalid("malformed", `version ${versionAndCommand >> 4}`)
  const command = versionAndCommand & 15
  if (command > COMMAND.proxy) return invalid("malformed", `command ${command}`)
  const kind = bytes[at + 1]
  if (kind === undefined) return "more"
  const family = FAMILIES[kind >> 4]
  const transport = kind & 15
  if (family === undefined || transport >= TRANSPORTS)
    return invalid("malformed", `address family and transport 0x${kind.toString(16).padStart(2, "0")}`)
  if (bytes.length < FIXED) return "more"
  const length = binaryLength(bytes)
  const addressed = FIXED + SIZES[kind >> 4]!
  // The sender of a local connection has no addresses to give, and may say so by a length of zero.
  if (command === COMMAND.proxy && length < addressed)
    return invalid("malformed", `${length - FIXED} bytes, too few for two addresses of family ${family}`)
  if (bytes.length < length) return "more"
  const isHalf = (family === "unspecified") !== (transport === 0)
  if (isHalf && length > FIXED && isZero(bytes, FIXED, length))
    return invalid("malformed", "an address family or a transport alone, and nothing but zeros")
  // The specification leaves it open whether half of it is taken for nothing or refused.
  if (command === COMMAND.local || isHalf)
    return header(command, isHalf ? "unspecified" : family, undefined, undefined, NO_TLVS, length)
  const read = readTlvs(bytes, addressed, length)
  // Behind an unspecified family may stand addresses of one that has no number.
  if (typeof read === "string")
    return family === "unspecified"
      ? header(command, family, undefined, undefined, NO_TLVS, length)
      : invalid("malformed", read)
  const { checksum, tlvs } = read
  if (checksum !== undefined && u32(bytes, checksum) !== crc32c(bytes, length, checksum))
    return invalid("checksum", "the checksum is that of another header")
  const [source, destination] = family === "IPv4" || family === "IPv6" ? ends(bytes, family) : []
  const told = header(command, family, source, destination, tlvs, length)
  return family === "unix" ? { ...told, paths: { source: path(bytes, 0), destination: path(bytes, 1) } } : told
}

function header(
  command: number,
  family: ProxyHeader["family"],
  source: ProxyAddress | undefined,
  destination: ProxyAddress | undefined,
  tlvs: ProxyTlvs,
  length: number,
): ProxyHeader {
  const name = command === COMMAND.local ? "local" : "proxy"
  return { version: 2, command: name, family, source, destination, paths: undefined, tlvs, length }
}

function ends(bytes: Uint8Array, family: "IPv4" | "IPv6"): readonly [ProxyAddress, ProxyAddress] {
  const size = family === "IPv4" ? 4 : 16
  return [address(bytes, family, FIXED, FIXED + 2 * size), address(bytes, family, FIXED + size, FIXED + 2 * size + 2)]
}

function address(bytes: Uint8Array, family: "IPv4" | "IPv6", at: number, portAt: number): ProxyAddress {
  const port = u16(bytes, portAt)
  if (family === "IPv4") return { family, a: u32(bytes, at), b: 0, c: 0, d: 0, port }
  return { family, a: u32(bytes, at), b: u32(bytes, at + 4), c: u32(bytes, at + 8), d: u32(bytes, at + 12), port }
}

/** To the first zero byte; an abstract name begins with one. */
function path(bytes: Uint8Array, nth: 0 | 1): string {
  const from = FIXED + nth * UNIX_PATH
  const end = bytes.indexOf(0, from + 1)
  const text = utf8(bytes, from, end < 0 || end > from + UNIX_PATH ? from + UNIX_PATH : end)
  return text === "\0" ? "" : text
}

function isZero(bytes: Uint8Array, from: number, to: number): boolean {
  for (let at = from; at < to; at++) if (bytes[at] !== 0) return false
  return true
}

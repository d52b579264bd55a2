// Version 1 of the PROXY header: a line of text (proxy-protocol.txt, section 2.1).
import { begins, latin1 } from "./bytes.ts"
import { ipv6Groups, parseIpv4, word } from "./ip.ts"
import { SIGNATURE_1 } from "./proxy.ts"
import { invalid, type ProxyAddress, type ProxyHeader, type ProxyInvalid } from "./proxy-fields.ts"
import { NO_TLVS } from "./proxy-tlvs.ts"

/** The longest line, with its end: `UNKNOWN`, two addresses and two ports. */
export const LINE_LIMIT = 107

const CR = 0x0d
const LF = 0x0a
const SPACE = 0x20
const UNKNOWN = "UNKNOWN"

/** Reads a line that begins with the signature. */
export function parseProxyLine(bytes: Uint8Array): ProxyHeader | "more" | ProxyInvalid {
  const at = SIGNATURE_1.length
  let more = false
  for (const [name, family] of [
    ["TCP4 ", "IPv4"],
    ["TCP6 ", "IPv6"],
  ] as const) {
    const found = begins(bytes, name, at)
    if (found === true) return proxied(bytes, at + name.length, family)
    more ||= found === "more"
  }
  const unknown = begins(bytes, UNKNOWN, at)
  if (unknown === true) return unspecified(bytes, at + UNKNOWN.length)
  return more || unknown === "more" ? "more" : invalid("malformed", "a protocol that is none of TCP4, TCP6 and UNKNOWN")
}

/** What stands behind UNKNOWN is ignored. */
function unspecified(bytes: Uint8Array, from: number): ProxyHeader | "more" | ProxyInvalid {
  const next = bytes[from]
  if (next === undefined) return "more"
  if (next !== SPACE && next !== CR) return invalid("malformed", "a protocol that is none of TCP4, TCP6 and UNKNOWN")
  if (next === CR && from + 1 < bytes.length && bytes[from + 1] !== LF) return brokenEnd()
  for (let at = from; at < LINE_LIMIT - 1; at++) {
    if (at + 1 >= bytes.length) return "more"
    if (bytes[at] === CR && bytes[at + 1] === LF) return header("unspecified", undefined, undefined, at + 2)
  }
  return tooLong()
}

function proxied(bytes: Uint8Array, from: number, family: "IPv4" | "IPv6"): ProxyHeader | "more" | ProxyInvalid {
  // Byte by byte, so that whatever has come gives the same answer, and nonsense is not waited for.
  for (let at = from; at < LINE_LIMIT - 1; at++) {
    const byte = bytes[at]
    if (byte === undefined) return "more"
    if (byte === CR) {
      if (at + 1 >= bytes.length) return "more"
      return bytes[at + 1] === LF ? addresses(latin1(bytes, from, at), family, at + 2) : brokenEnd()
    }
    if (!isPartOfAddress(byte)) return invalid("malformed", "a character that neither addresses nor ports have")
  }
  return tooLong()
}

function addresses(text: string, family: "IPv4" | "IPv6", length: number): ProxyHeader | ProxyInvalid {
  const [from, to, fromPort, toPort, ...more] = text.split(" ")
  if (toPort === undefined || more.length > 0)
    return invalid("malformed", "not two addresses and two ports with single spaces between them")
  const source = addressOf(from!, fromPort!, family)
  if (typeof source === "string") return invalid("malformed", `source: ${source}`)
  const destination = addressOf(to!, toPort, family)
  if (typeof destination === "string") return invalid("malformed", `destination: ${destination}`)
  return header(family, source, destination, length)
}

/** The address, or what is wrong with it. */
function addressOf(text: string, portText: string, family: "IPv4" | "IPv6"): ProxyAddress | string {
  const port = /^(0|[1-9][0-9]{0,4})$/.test(portText) ? Number(portText) : -1
  if (port < 0 || port > 65_535) return "not a port from 0 to 65535 without leading zeros"
  if (family === "IPv4") {
    const a = parseIpv4(text)
    return a === undefined ? "not an IPv4 address" : { family, a, b: 0, c: 0, d: 0, port }
  }
  const groups = ipv6Groups(text)
  if (groups === undefined) return "not an IPv6 address"
  return { family, a: word(groups, 0), b: word(groups, 1), c: word(groups, 2), d: word(groups, 3), port }
}

function header(
  family: ProxyHeader["family"],
  source: ProxyAddress | undefined,
  destination: ProxyAddress | undefined,
  length: number,
): ProxyHeader {
  return { version: 1, command: "proxy", family, source, destination, paths: undefined, tlvs: NO_TLVS, length }
}

/** Digits of both families, the signs between them, and the space between fields. */
function isPartOfAddress(byte: number): boolean {
  if (byte >= 0x30 && byte <= 0x3a) return true
  const letter = byte | 0x20
  return (letter >= 0x61 && letter <= 0x66) || byte === 0x2e || byte === SPACE
}

function brokenEnd(): ProxyInvalid {
  return invalid("malformed", "a line that does not end in CR LF")
}

function tooLong(): ProxyInvalid {
  return invalid("too-long", `no end of the line in ${LINE_LIMIT} bytes`)
}

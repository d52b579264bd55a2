// PROXY headers as we send them (proxy-protocol.txt, sections 2.1 and 2.2): who the client is, for whoever we connect to.
import { formatIpv4, formatIpv6 } from "./ip.ts"
import type { ProxyAddress } from "./proxy-fields.ts"
import { SIGNATURE_1, SIGNATURE_2 } from "./proxy.ts"
import { CLIENT, TLV } from "./proxy-tlvs.ts"

/** Both ends of the client's connection. */
export interface ProxyEnds {
  readonly source: ProxyAddress
  readonly destination: ProxyAddress
}

/** What version 2 says beside the addresses. A name of more than 1 KiB is left out. */
export interface ProxyOutFacts {
  /** One character per byte. */
  readonly alpn?: string | undefined
  readonly authority?: string | undefined
  /** At most 128 bytes. */
  readonly uniqueId?: string | undefined
  /** TLS between the client and us. */
  readonly ssl?: ProxyOutSsl | undefined
}

export interface ProxyOutSsl {
  readonly version: string
  readonly cipher: string
  /** `session`: in an earlier connection of the session that this one took up. */
  readonly certificate: "none" | "connection" | "session"
  readonly verified: boolean
  readonly commonName: string | undefined
}

/** 1 KiB: server names have up to 255 bytes, common names up to 64 characters. A part of a name would be another name. */
const LONGEST_NAME = 1024
/** 255: of what an ALPN name has; an id of ours, a version and a cipher are shorter. */
const LONGEST_TEXT = 255
/** Type and length. */
const TLV_HEADER = 3
const PROXY = 0x21
const UNSPECIFIED = 0x00
const STREAM = { IPv4: 0x11, IPv6: 0x21 } as const
/** What `verify` says where no certificate was verified. */
const UNVERIFIED = 1

/**
 * 4 KiB: the fixed parts, two addresses, and the longest values of {@link ProxyOutFacts}. One header is made at a time,
 * and what is made is copied out.
 */
const scratch = new Uint8Array(4096)
const view = new DataView(scratch.buffer)
/** Signature, version and command, family and transport, length. */
const FIXED = 16

const encoder = new TextEncoder()

/** A line of text. Without addresses, as for clients of a unix socket, it says so. */
export function proxyLine(ends: ProxyEnds | undefined): Uint8Array {
  if (ends === undefined) return encoder.encode(`${SIGNATURE_1}UNKNOWN\r\n`)
  const { destination, source } = oneFamily(ends)
  const name = source.family === "IPv4" ? "TCP4" : "TCP6"
  return encoder.encode(
    `${SIGNATURE_1}${name} ${text(source)} ${text(destination)} ${source.port} ${destination.port}\r\n`,
  )
}

/** A binary header. Without addresses it is of an unspecified family. */
export function proxyBinary(ends: ProxyEnds | undefined, facts: ProxyOutFacts = {}): Uint8Array {
  const same = ends === undefined ? undefined : oneFamily(ends)
  let at = latin1(0, SIGNATURE_2)
  scratch[at++] = PROXY
  scratch[at++] = same === undefined ? UNSPECIFIED : STREAM[same.source.family]
  at = FIXED
  if (same !== undefined) at = addresses(at, same)
  at = values(at, facts)
  view.setUint16(FIXED - 2, at - FIXED)
  return scratch.slice(0, at)
}

/** A header has one family: beside IPv6, IPv4 is written as the IPv6 address that maps it. */
function oneFamily(ends: ProxyEnds): ProxyEnds {
  const { destination, source } = ends
  return source.family === destination.family ? ends : { source: asIpv6(source), destination: asIpv6(destination) }
}

function asIpv6(address: ProxyAddress): ProxyAddress {
  return address.family === "IPv6"
    ? address
    : { family: "IPv6", a: 0, b: 0, c: 0xffff, d: address.a, port: address.port }
}

function text({ a, b, c, d, family }: ProxyAddress): string {
  return family === "IPv4" ? formatIpv4(a) : formatIpv6(a, b, c, d)
}

// What follows writes from `at` on, and gives where it ended.

function addresses(at: number, { destination, source }: ProxyEnds): number {
  const end = words(words(at, source), destination)
  view.setUint16(end, source.port)
  view.setUint16(end + 2, destination.port)
  return end + 4
}

function words(at: number, { a, b, c, d, family }: ProxyAddress): number {
  view.setUint32(at, a)
  if (family === "IPv4") return at + 4
  view.setUint32(at + 4, b)
  view.setUint32(at + 8, c)
  view.setUint32(at + 12, d)
  return at + 16
}

function values(from: number, { alpn, authority, ssl, uniqueId }: ProxyOutFacts): number {
  let at = from
  if (alpn !== undefined) at = ascii(at, TLV.alpn, alpn)
  at = name(at, TLV.authority, authority)
  if (uniqueId !== undefined) at = ascii(at, TLV.uniqueId, uniqueId)
  return ssl === undefined ? at : secured(at, ssl)
}

function secured(from: number, { certificate, cipher, commonName, verified, version }: ProxyOutSsl): number {
  scratch[from + TLV_HEADER] = CLIENT.ssl | GIVEN[certificate]
  view.setUint32(from + TLV_HEADER + 1, verified ? 0 : UNVERIFIED)
  let at = ascii(from + TLV_HEADER + 5, TLV.sslVersion, version)
  at = name(at, TLV.sslCommonName, commonName)
  return headed(from, TLV.ssl, ascii(at, TLV.sslCipher, cipher))
}

const GIVEN = {
  none: 0,
  connection: CLIENT.certificateOnConnection | CLIENT.certificateInSession,
  session: CLIENT.certificateInSession,
} as const

/** A value in one character per byte. */
function ascii(at: number, type: number, characters: string): number {
  return headed(at, type, latin1(at + TLV_HEADER, characters.slice(0, LONGEST_TEXT)))
}

/** A value in UTF-8. */
function name(at: number, type: number, characters: string | undefined): number {
  if (characters === undefined || characters.length === 0 || characters.length > LONGEST_NAME) return at
  const room = scratch.subarray(at + TLV_HEADER, at + TLV_HEADER + LONGEST_NAME)
  const { read, written } = encoder.encodeInto(characters, room)
  return read < characters.length ? at : headed(at, type, at + TLV_HEADER + written)
}

function headed(at: number, type: number, end: number): number {
  scratch[at] = type
  view.setUint16(at + 1, end - at - TLV_HEADER)
  return end
}

function latin1(at: number, characters: string): number {
  for (let i = 0; i < characters.length; i++) scratch[at + i] = characters.charCodeAt(i)
  return at + characters.length
}

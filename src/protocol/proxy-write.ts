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
const PROXY = 0x21
const UNSPECIFIED = 0x00
const STREAM = { IPv4: 0x11, IPv6: 0x21 } as const
/** What `verify` says where no certificate was verified. */
const UNVERIFIED = 1

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
  const kind = same === undefined ? UNSPECIFIED : STREAM[same.source.family]
  const block = [...(same === undefined ? [] : addresses(same)), ...factBytes(facts)]
  return Uint8Array.from([...ascii(SIGNATURE_2), PROXY, kind, ...be16(block.length), ...block])
}

/** A header has one family: beside IPv6, IPv4 is written as the IPv6 address that maps it. */
function oneFamily({ destination, source }: ProxyEnds): ProxyEnds {
  if (source.family === destination.family) return { source, destination }
  return { source: asIpv6(source), destination: asIpv6(destination) }
}

function asIpv6(address: ProxyAddress): ProxyAddress {
  return address.family === "IPv6"
    ? address
    : { family: "IPv6", a: 0, b: 0, c: 0xffff, d: address.a, port: address.port }
}

function text({ a, b, c, d, family }: ProxyAddress): string {
  return family === "IPv4" ? formatIpv4(a) : formatIpv6(a, b, c, d)
}

function addresses({ destination, source }: ProxyEnds): number[] {
  return [...words(source), ...words(destination), ...be16(source.port), ...be16(destination.port)]
}

function words({ a, b, c, d, family }: ProxyAddress): number[] {
  return (family === "IPv4" ? [a] : [a, b, c, d]).flatMap(be32)
}

function factBytes({ alpn, authority, ssl, uniqueId }: ProxyOutFacts): number[] {
  return [
    ...(alpn === undefined ? [] : tlv(TLV.alpn, ascii(alpn))),
    ...name(TLV.authority, authority),
    ...(uniqueId === undefined ? [] : tlv(TLV.uniqueId, ascii(uniqueId))),
    ...(ssl === undefined ? [] : tlv(TLV.ssl, sslBytes(ssl))),
  ]
}

function sslBytes({ certificate, cipher, commonName, verified, version }: ProxyOutSsl): number[] {
  const given = {
    none: 0,
    connection: CLIENT.certificateOnConnection | CLIENT.certificateInSession,
    session: CLIENT.certificateInSession,
  }[certificate]
  return [
    CLIENT.ssl | given,
    ...be32(verified ? 0 : UNVERIFIED),
    ...tlv(TLV.sslVersion, ascii(version)),
    ...name(TLV.sslCommonName, commonName),
    ...tlv(TLV.sslCipher, ascii(cipher)),
  ]
}

function name(type: number, characters: string | undefined): number[] {
  const value = characters === undefined ? [] : utf8(characters)
  return value.length === 0 || value.length > LONGEST_NAME ? [] : tlv(type, value)
}

function tlv(type: number, value: readonly number[]): number[] {
  return [type, ...be16(value.length), ...value]
}

function be16(value: number): number[] {
  return [(value >> 8) & 255, value & 255]
}

function be32(value: number): number[] {
  return [...be16(value >>> 16), ...be16(value & 0xffff)]
}

function ascii(characters: string): number[] {
  return Array.from(characters, (character) => character.charCodeAt(0) & 255)
}

function utf8(characters: string): number[] {
  return [...encoder.encode(characters)]
}

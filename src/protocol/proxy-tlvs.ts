// What a PROXY header of version 2 says beside the addresses (proxy-protocol.txt, section 2.2): values with a type and a
// length, one of which holds more of them. What a receiver does not know is skipped; what is cut off makes the header bad.
import { latin1, u16, u32, utf8 } from "./bytes.ts"

/** One value of a PROXY header, as it came. */
export interface Tlv {
  readonly type: number
  readonly value: Uint8Array
}

/** What the sender says of TLS between itself and the client (PP2_TYPE_SSL). */
export interface ProxySsl {
  /** Bits: 1 the client speaks TLS, 2 it gave a certificate on this connection, 4 it gave one in this TLS session. */
  readonly client: number
  /** 0 where the client's certificate was verified. Without a certificate it says nothing. */
  readonly verify: number
  /** The client gave a certificate, and the sender has verified it. */
  readonly verified: boolean
  /** `"TLSv1.3"` */
  readonly version: string | undefined
  /** The common name of the client's certificate. */
  readonly commonName: string | undefined
  readonly cipher: string | undefined
  /** How the sender's own certificate is signed: `"RSA-SHA256"`. */
  readonly signatureAlgorithm: string | undefined
  /** The key of the sender's own certificate: `"RSA2048"`. */
  readonly keyAlgorithm: string | undefined
}

/** What is said beside the addresses; where a value is given twice, the first counts. */
export interface ProxyTlvs {
  /** The protocol agreed on with the client, one character per byte. */
  readonly alpn: string | undefined
  /** The host name that the client asked for, which with TLS is its SNI: in lower case, without a trailing dot. */
  readonly authority: string | undefined
  /** What the sender calls the connection: up to 128 bytes, one character for each. */
  readonly uniqueId: string | undefined
  readonly ssl: ProxySsl | undefined
  /** The network namespace. */
  readonly netns: string | undefined
  /** All of them, in order. */
  readonly list: readonly Tlv[]
}

export const NO_TLVS: ProxyTlvs = Object.freeze({
  alpn: undefined,
  authority: undefined,
  uniqueId: undefined,
  ssl: undefined,
  netns: undefined,
  list: Object.freeze([]),
})

export const TLV = {
  alpn: 0x01,
  authority: 0x02,
  crc32c: 0x03,
  noop: 0x04,
  uniqueId: 0x05,
  ssl: 0x20,
  sslVersion: 0x21,
  sslCommonName: 0x22,
  sslCipher: 0x23,
  sslSignatureAlgorithm: 0x24,
  sslKeyAlgorithm: 0x25,
  netns: 0x30,
} as const

/** Bits of {@link ProxySsl.client}. */
export const CLIENT = { ssl: 1, certificateOnConnection: 2, certificateInSession: 4 } as const

/** Type and length. */
const TLV_HEADER = 3
/** Section 2.2.5. */
const LONGEST_UNIQUE_ID = 128
/** The bits and the result of verification, before the values inside. */
const SSL_HEADER = 5
const CHECKSUM_LENGTH = 4

/** The values of a header, and where its checksum stands. */
export interface ReadTlvs {
  readonly tlvs: ProxyTlvs
  /** The place of the four bytes; `undefined` without one. */
  readonly checksum: number | undefined
}

/** The values between `from` and `to`, or what is wrong with them. */
export function readTlvs(bytes: Uint8Array, from: number, to: number): ReadTlvs | string {
  const found = new Map<number, string>()
  let ssl: ProxySsl | undefined
  let checksum: number | undefined
  const wrong = eachTlv(bytes, from, to, (type, start, end) => {
    if (type === TLV.crc32c && end - start === CHECKSUM_LENGTH) {
      // One of another length is no checksum; nothing can be compared with it.
      if (checksum !== undefined) return "two checksums"
      checksum = start
    }
    if (type === TLV.uniqueId && end - start > LONGEST_UNIQUE_ID) return `a unique id of ${end - start} bytes`
    if (type === TLV.ssl && ssl === undefined) {
      const read = readSsl(bytes, start, end)
      if (typeof read === "string") return read
      ssl = read
    }
    if (TEXTS.has(type) && !found.has(type)) found.set(type, textOf(type, bytes, start, end))
    return undefined
  })
  if (wrong !== undefined) return wrong
  if (from === to) return { tlvs: NO_TLVS, checksum }
  // A copy: the header's bytes are given back once it is read.
  const block = bytes.slice(from, to)
  let list: readonly Tlv[] | undefined
  const tlvs: ProxyTlvs = {
    alpn: found.get(TLV.alpn),
    authority: found.get(TLV.authority),
    uniqueId: found.get(TLV.uniqueId),
    ssl,
    netns: found.get(TLV.netns),
    // 64 KiB hold 21,845 of them: objects are made for who asks.
    get list() {
      return (list ??= listed(block))
    },
  }
  return { tlvs, checksum }
}

/** Each value; what is wrong with it, or with the list, ends the reading. */
function eachTlv(
  bytes: Uint8Array,
  from: number,
  to: number,
  each: (type: number, start: number, end: number) => string | undefined,
): string | undefined {
  for (let at = from; at < to;) {
    const start = at + TLV_HEADER
    if (start > to) return `${to - at} bytes behind the last TLV`
    const type = bytes[at] ?? 0
    const end = start + u16(bytes, at + 1)
    if (end > to) {
      // Nothing at all of its value is there, so that nothing false can be read from it.
      if (start === to) return undefined
      return `a TLV of type ${type} that runs past its end`
    }
    const wrong = each(type, start, end)
    if (wrong !== undefined) return wrong
    at = end
  }
  return undefined
}

function listed(block: Uint8Array): readonly Tlv[] {
  const list: Tlv[] = []
  eachTlv(block, 0, block.length, (type, start, end) => {
    list.push(Object.freeze({ type, value: block.slice(start, end) }))
    return undefined
  })
  return Object.freeze(list)
}

const TEXTS: ReadonlySet<number> = new Set([TLV.alpn, TLV.authority, TLV.uniqueId, TLV.netns])

function textOf(type: number, bytes: Uint8Array, start: number, end: number): string {
  if (type !== TLV.authority) return latin1(bytes, start, end)
  return utf8(bytes, start, end).toLowerCase().replace(/\.$/, "")
}

function readSsl(bytes: Uint8Array, start: number, end: number): ProxySsl | string {
  if (end - start < SSL_HEADER) return `an SSL TLV of ${end - start} bytes`
  const texts = new Map<number, string>()
  const wrong = eachTlv(bytes, start + SSL_HEADER, end, (type, from, to) => {
    if (!texts.has(type)) texts.set(type, type === TLV.sslCommonName ? utf8(bytes, from, to) : latin1(bytes, from, to))
    return undefined
  })
  if (wrong !== undefined) return `inside the SSL TLV: ${wrong}`
  const client = bytes[start] ?? 0
  const verify = u32(bytes, start + 1)
  const certificate = client & (CLIENT.certificateOnConnection | CLIENT.certificateInSession)
  return Object.freeze({
    client,
    verify,
    verified: certificate !== 0 && verify === 0,
    version: texts.get(TLV.sslVersion),
    commonName: texts.get(TLV.sslCommonName),
    cipher: texts.get(TLV.sslCipher),
    signatureAlgorithm: texts.get(TLV.sslSignatureAlgorithm),
    keyAlgorithm: texts.get(TLV.sslKeyAlgorithm),
  })
}

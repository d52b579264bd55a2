// JA3 and JA4, the fingerprints of a TLS client. JA3: Salesforce, BSD-3-Clause. JA4 for TLS clients: FoxIO,
// BSD-3-Clause, as technical_details/JA4.md says. The other JA4+ fingerprints have another licence and are not here.
import { createHash } from "node:crypto"

/** What the fingerprints are made from. All lists are in the order of the hello, without GREASE (RFC 8701). */
export interface Fingerprinted {
  readonly legacyVersion: number
  readonly supportedVersions: readonly number[]
  readonly cipherSuites: readonly number[]
  readonly extensions: readonly number[]
  readonly groups: readonly number[]
  readonly pointFormats: readonly number[]
  readonly signatureAlgorithms: readonly number[]
  /** One character per byte. */
  readonly alpn: readonly string[]
}

const SERVER_NAME = 0x0000
const ALPN = 0x0010

/** The values that clients sprinkle in so that servers keep ignoring what they do not know: 0x0a0a, 0x1a1a, ... */
export function isGrease(value: number): boolean {
  return (value & 0x0f0f) === 0x0a0a && value >> 8 === (value & 0xff)
}

/** The text that JA3 hashes: version, cipher suites, extensions, groups, point formats. */
export function ja3Text(hello: Fingerprinted): string {
  const { legacyVersion, cipherSuites, extensions, groups, pointFormats } = hello
  return `${legacyVersion},${cipherSuites.join("-")},${extensions.join("-")},${groups.join("-")},${pointFormats.join("-")}`
}

/** JA3: the MD5 of {@link ja3Text}. */
export function ja3(hello: Fingerprinted): string {
  return createHash("md5").update(ja3Text(hello)).digest("hex")
}

/** JA4: what the client offers, in sorted order, hashed. */
export function ja4(hello: Fingerprinted): string {
  return `${ja4Start(hello)}_${ja4Hash(sortedCiphers(hello))}_${extensionsHash(sortedExtensions(hello), hello)}`
}

/** JA4_r: as {@link ja4}, not hashed. */
export function ja4Raw(hello: Fingerprinted): string {
  return `${ja4Start(hello)}_${hexList(sortedCiphers(hello))}_${withAlgorithms(sortedExtensions(hello), hello)}`
}

/** JA4_o: in the order of the hello, with the server name and ALPN extensions, hashed. */
export function ja4Original(hello: Fingerprinted): string {
  return `${ja4Start(hello)}_${ja4Hash(hello.cipherSuites)}_${extensionsHash(hello.extensions, hello)}`
}

/** JA4_ro: as {@link ja4Original}, not hashed. */
export function ja4OriginalRaw(hello: Fingerprinted): string {
  return `${ja4Start(hello)}_${hexList(hello.cipherSuites)}_${withAlgorithms(hello.extensions, hello)}`
}

/** The two characters of JA4 for the first ALPN value: its ends, or those of its hex form if one is not alphanumeric. */
export function ja4Alpn(first: string | undefined): string {
  if (first === undefined || first === "") return "00"
  const head = first.charCodeAt(0)
  const tail = first.charCodeAt(first.length - 1)
  if (isAlphanumeric(head) && isAlphanumeric(tail)) return first[0]! + first.at(-1)!
  return (head >> 4).toString(16) + (tail & 15).toString(16)
}

/** Twelve characters of the SHA-256 of a text; zeros for nothing, so that a reader sees that there was nothing. */
export function ja4Hash(values: readonly number[] | string): string {
  if (values.length === 0) return "000000000000"
  const text = typeof values === "string" ? values : hexList(values)
  return createHash("sha256").update(text).digest("hex").slice(0, 12)
}

function extensionsHash(extensions: readonly number[], hello: Fingerprinted): string {
  return ja4Hash(extensions.length === 0 ? "" : withAlgorithms(extensions, hello))
}

function ja4Start(hello: Fingerprinted): string {
  const { supportedVersions, legacyVersion, extensions, cipherSuites, alpn } = hello
  const version = supportedVersions.length === 0 ? legacyVersion : Math.max(...supportedVersions)
  const name = extensions.includes(SERVER_NAME) ? "d" : "i"
  return `t${versionCode(version)}${name}${count(cipherSuites)}${count(extensions)}${ja4Alpn(alpn[0])}`
}

function versionCode(version: number): string {
  switch (version) {
    case 0x0304:
      return "13"
    case 0x0303:
      return "12"
    case 0x0302:
      return "11"
    case 0x0301:
      return "10"
    case 0x0300:
      return "s3"
    case 0x0002:
      return "s2"
    case 0xfeff:
      return "d1"
    case 0xfefd:
      return "d2"
    case 0xfefc:
      return "d3"
    default:
      return "00"
  }
}

function count(values: readonly number[]): string {
  return String(Math.min(values.length, 99)).padStart(2, "0")
}

function sortedCiphers(hello: Fingerprinted): number[] {
  return hello.cipherSuites.toSorted((a, b) => a - b)
}

function sortedExtensions(hello: Fingerprinted): number[] {
  return hello.extensions.filter((type) => type !== SERVER_NAME && type !== ALPN).sort((a, b) => a - b)
}

function withAlgorithms(extensions: readonly number[], { signatureAlgorithms }: Fingerprinted): string {
  const list = hexList(extensions)
  return signatureAlgorithms.length === 0 ? list : `${list}_${hexList(signatureAlgorithms)}`
}

function hexList(values: readonly number[]): string {
  return values.map((value) => value.toString(16).padStart(4, "0")).join(",")
}

function isAlphanumeric(code: number): boolean {
  return (code >= 48 && code <= 57) || (code >= 65 && code <= 90) || (code >= 97 && code <= 122)
}

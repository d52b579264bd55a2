// The ClientHello of TLS 1.0 to 1.3 (RFC 8446 section 4.1.2): what a client says before anything is encrypted.
// Reads only; what a server would refuse because of its lengths is refused here, so that both see the same name.
import { latin1, u16, within } from "./bytes.ts"
import { isGrease, ja3, ja4, type Fingerprinted } from "./ja.ts"
import { helloMessage, invalid, type HelloInvalid } from "./tls-records.ts"

export { HELLO_LIMIT, HELLO_WIRE_LIMIT, type HelloInvalid } from "./tls-records.ts"

/** What a TLS client says first. Lists are in the client's order and leave out GREASE (RFC 8701), ALPN's excepted. */
export interface ClientHello extends Fingerprinted {
  /** The server name (RFC 6066 section 3) in lower case, without a trailing dot; `undefined` if the client sent none. */
  readonly sni: string | undefined
  /** The protocols offered (RFC 7301), preferred first; one character per byte. */
  readonly alpn: readonly string[]
  /**
   * The versions offered: `"TLSv1.3"`, `"TLSv1.2"`, `"TLSv1.1"`, `"TLSv1"`, `"SSLv3"`, or hexadecimal for others. Without
   * the extension (RFC 8446 section 4.2.1) it is the one highest version.
   */
  readonly versions: readonly string[]
  /** `legacy_version`, 0x0303 for TLS 1.2 and later. */
  readonly legacyVersion: number
  /** As sent in `supported_versions`, by number; empty without that extension. */
  readonly supportedVersions: readonly number[]
  /** By number in the IANA registry, 0x1301 is TLS_AES_128_GCM_SHA256. */
  readonly cipherSuites: readonly number[]
  readonly extensions: readonly number[]
  readonly groups: readonly number[]
  readonly pointFormats: readonly number[]
  readonly signatureAlgorithms: readonly number[]
  /** 0 to 32. */
  readonly sessionIdLength: number
  /** The JA3 fingerprint (MD5), computed when it is first read. */
  readonly ja3: string
  /** The JA4 fingerprint, computed when it is first read. */
  readonly ja4: string
}

/**
 * Reads the ClientHello from the first bytes of a connection, however they were cut into segments and records.
 * `"more"` while it is incomplete, `undefined` for what is not TLS, an error by name for what began as TLS and cannot
 * become a hello within the limits. Never throws. Bytes behind the hello's last record are not looked at.
 */
export function parseClientHello(bytes: Uint8Array): ClientHello | "more" | HelloInvalid | undefined {
  const message = helloMessage(bytes)
  if (message === undefined || message === "more" || "error" in message) return message
  const fields = readFields(message.bytes, message.start + 4, message.end)
  return typeof fields === "string" ? invalid("malformed", fields) : hello(fields)
}

const NAMES: Record<number, string> = {
  0x0304: "TLSv1.3",
  0x0303: "TLSv1.2",
  0x0302: "TLSv1.1",
  0x0301: "TLSv1",
  0x0300: "SSLv3",
}

interface Fields extends Fingerprinted {
  readonly sessionIdLength: number
  readonly sni: string | undefined
}

function hello(fields: Fields): ClientHello {
  const { supportedVersions, legacyVersion } = fields
  const versions = supportedVersions.length === 0 ? [legacyVersion] : supportedVersions
  let md5: string | undefined
  let sorted: string | undefined
  return {
    sni: fields.sni,
    alpn: fields.alpn,
    versions: versions.map((version) => NAMES[version] ?? `0x${version.toString(16).padStart(4, "0")}`),
    cipherSuites: fields.cipherSuites,
    get ja3() {
      return (md5 ??= ja3(fields))
    },
    get ja4() {
      return (sorted ??= ja4(fields))
    },
    extensions: fields.extensions,
    groups: fields.groups,
    pointFormats: fields.pointFormats,
    signatureAlgorithms: fields.signatureAlgorithms,
    supportedVersions,
    legacyVersion,
    sessionIdLength: fields.sessionIdLength,
  }
}

/** The fields between `start` and `end`, or what is wrong with them. */
function readFields(bytes: Uint8Array, start: number, end: number): Fields | string {
  // Version (2), random (32), length of the session id (1).
  if (end - start < 35) return "shorter than its fixed fields"
  const sessionIdLength = bytes[start + 34] ?? 0
  if (sessionIdLength > 32) return `a session id of ${sessionIdLength} bytes`
  let at = start + 35 + sessionIdLength
  if (at + 2 > end) return "no cipher suites"
  const suites = u16(bytes, at)
  at += 2
  // Empty lists of suites or methods are for the server to refuse: they say nothing false about what follows them.
  if (suites % 2 === 1 || at + suites > end) return `cipher suites of ${suites} bytes`
  const cipherSuites = numbers(bytes, at, at + suites)
  at += suites
  const methods = bytes[at] ?? 0
  if (at >= end || at + 1 + methods > end) return "compression methods that run past the hello"
  at += 1 + methods
  if (at === end && methods === 0) return "nothing behind its cipher suites"
  const found = at === end ? NO_EXTENSIONS : readExtensions(bytes, at, end)
  if (typeof found === "string") return found
  return { legacyVersion: u16(bytes, start), sessionIdLength, cipherSuites, ...found }
}

interface Extensions {
  extensions: number[]
  sni: string | undefined
  alpn: string[]
  supportedVersions: number[]
  groups: number[]
  pointFormats: number[]
  signatureAlgorithms: number[]
}

const NO_EXTENSIONS: Readonly<Extensions> = {
  extensions: [],
  sni: undefined,
  alpn: [],
  supportedVersions: [],
  groups: [],
  pointFormats: [],
  signatureAlgorithms: [],
}

/** Numbers of the IANA registry "TLS ExtensionType Values". */
const SERVER_NAME = 0
const GROUPS = 10
const POINT_FORMATS = 11
const SIGNATURE_ALGORITHMS = 13
const ALPN = 16
const SUPPORTED_VERSIONS = 43

function readExtensions(bytes: Uint8Array, start: number, end: number): Extensions | string {
  if (start + 2 > end || start + 2 + u16(bytes, start) !== end) return "extensions that do not end with the hello"
  const found: Extensions = { ...NO_EXTENSIONS, extensions: [] }
  for (let at = start + 2; at < end;) {
    if (at + 4 > end) return "half an extension"
    const type = u16(bytes, at)
    const from = at + 4
    const to = from + u16(bytes, at + 2)
    if (to > end) return `extension ${type} runs past the hello`
    at = to
    if (isGrease(type)) continue
    if (isRead(type) && found.extensions.includes(type)) return `extension ${type} twice`
    found.extensions.push(type)
    const problem = readExtension(found, type, bytes, from, to)
    if (problem !== undefined) return problem
  }
  return found
}

/** RFC 8446 section 4.2 forbids a second extension of a type; where it would change what is read here, it is refused. */
function isRead(type: number): boolean {
  return type === SERVER_NAME || type === ALPN || type === SUPPORTED_VERSIONS
}

/** Lists that only make up a fingerprint are empty if they are malformed; those that choose a route are an error. */
function readExtension(found: Extensions, type: number, bytes: Uint8Array, from: number, to: number) {
  switch (type) {
    case SERVER_NAME:
      return readServerName(found, bytes, from, to)
    case ALPN:
      return readProtocols(found, bytes, from, to)
    case SUPPORTED_VERSIONS:
      if (to - from < 3 || from + 1 + (bytes[from] ?? 0) !== to || (to - from) % 2 === 0) return "malformed versions"
      found.supportedVersions = numbers(bytes, from + 1, to)
      return undefined
    case GROUPS:
      if (from + 2 + u16(bytes, from) === to) found.groups = numbers(bytes, from + 2, to)
      return undefined
    case SIGNATURE_ALGORITHMS:
      if (from + 2 + u16(bytes, from) === to) found.signatureAlgorithms = numbers(bytes, from + 2, to)
      return undefined
    case POINT_FORMATS:
      if (from < to && from + 1 + (bytes[from] ?? 0) === to) found.pointFormats = [...bytes.subarray(from + 1, to)]
      return undefined
    default:
      return undefined
  }
}

/** 255: the longest name that DNS has (RFC 1035 section 2.3.4). */
const LONGEST_NAME = 255

/** RFC 6066 section 3: a list, in which `host_name` (0) is the one type ever defined and may stand once. */
function readServerName(found: Extensions, bytes: Uint8Array, from: number, to: number): string | undefined {
  if (to - from < 5 || from + 2 + u16(bytes, from) !== to) return "a server name whose lengths disagree"
  if (bytes[from + 2] !== 0) return `a server name of type ${bytes[from + 2]}`
  const start = from + 5
  if (start + u16(bytes, from + 3) !== to) return "a server name whose lengths disagree"
  const end = bytes[to - 1] === 0x2e ? to - 1 : to
  if (end <= start || end - start > LONGEST_NAME || bytes[end - 1] === 0x2e)
    return `a server name of ${to - start} bytes`
  // Printable ASCII: a NUL or a line break in a name would read differently here, in a log and at the server.
  if (!within(bytes, start, end, 0x21, 0x7e)) return "a server name with characters that no name has"
  found.sni = latin1(bytes, start, end).toLowerCase()
  return undefined
}

/** RFC 7301 section 3.1: a list of names, each of 1 to 255 bytes. */
function readProtocols(found: Extensions, bytes: Uint8Array, from: number, to: number): string | undefined {
  if (to - from < 4 || from + 2 + u16(bytes, from) !== to) return "an ALPN list whose lengths disagree"
  const alpn: string[] = []
  for (let at = from + 2; at < to;) {
    const next = at + 1 + (bytes[at] ?? 0)
    if (next === at + 1 || next > to) return "an ALPN list whose lengths disagree"
    alpn.push(latin1(bytes, at + 1, next))
    at = next
  }
  found.alpn = alpn
  return undefined
}

function numbers(bytes: Uint8Array, from: number, to: number): number[] {
  const list: number[] = []
  for (let at = from; at + 1 < to; at += 2) {
    const value = u16(bytes, at)
    if (!isGrease(value)) list.push(value)
  }
  return list
}

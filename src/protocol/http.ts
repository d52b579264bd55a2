// HTTP/1.0 and 1.1 (RFC 9112): the request line and the first Host field. A connection may carry further requests for
// other hosts, so the host says where a client starts, not what it may reach.
import { begins, latin1, within } from "./bytes.ts"

/** The first request of an HTTP/1 client. */
export interface Http {
  readonly protocol: "http"
  readonly version: "1.0" | "1.1"
  readonly method: string
  /** The request target as it was sent (RFC 9112 section 3.2): a path with its query, a URL, `host:port` or `*`. */
  readonly target: string
  /** The target's path without its query; `undefined` for CONNECT and `*`. */
  readonly path: string | undefined
  /** In lower case, without port and trailing dot: the target's if it has one, else that of the first Host field. */
  readonly host: string | undefined
  readonly port: number | undefined
}

/** 32 bytes: the longest registered method, UPDATEREDIRECTREF, has 17. */
const LONGEST_METHOD = 32
/** 8 KiB: the request line that nginx and Apache accept by default. */
const LONGEST_REQUEST_LINE = 8192
/** 100 fields before Host: Apache's limit for a whole request. It bounds what a client costs that sends byte by byte. */
const MOST_FIELDS = 100
const LF = 10
const CR = 13
const SP = 32

/** Complete with the first Host field that was read to its end, or with the empty line; no field is needed for a URL target. */
export function http(bytes: Uint8Array): Http | "more" | undefined {
  const methodEnd = token(bytes)
  if (typeof methodEnd !== "number") return methodEnd
  const start = methodEnd + 1
  const targetEnd = word(bytes, start)
  if (typeof targetEnd !== "number") return targetEnd
  const method = latin1(bytes, 0, methodEnd)
  const target = latin1(bytes, start, targetEnd)
  if (!isTarget(method, target)) return undefined
  const version = begins(bytes, " HTTP/1.", targetEnd)
  if (version !== true) return version || undefined
  const minor = bytes[targetEnd + 8]
  if (minor === undefined) return "more"
  if (minor !== 0x30 && minor !== 0x31) return undefined
  const line = lineEnd(bytes, targetEnd + 9)
  if (typeof line !== "number") return line
  const authority = authorityOf(method, target) ?? hostField(bytes, line)
  if (authority === undefined || authority === "more") return authority
  return {
    protocol: "http",
    version: minor === 0x30 ? "1.0" : "1.1",
    method,
    target,
    path: pathOf(method, target),
    ...hostAndPort(authority.text),
  }
}

/** The end of the method. Registered methods are upper case, so that no other text protocol's command is taken for one. */
function token(bytes: Uint8Array): number | "more" | undefined {
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]!
    if (byte === SP) return at === 0 ? undefined : at
    const isUpper = byte >= 65 && byte <= 90
    if ((!isUpper && byte !== 45 && byte !== 95) || at >= LONGEST_METHOD) return undefined
  }
  return "more"
}

/** The end of the printable word that starts at `from`. */
function word(bytes: Uint8Array, from: number): number | "more" | undefined {
  const end = bytes.indexOf(SP, from)
  const to = end < 0 ? bytes.length : end
  // Other text protocols begin with a word and a space too; their second word starts otherwise.
  if (to > from && !isTargetStart(bytes[from]!)) return undefined
  if (to - from > LONGEST_REQUEST_LINE || !within(bytes, from, to, 0x21, 0xff)) return undefined
  if (end < 0) return "more"
  return end > from ? end : undefined
}

function isTargetStart(byte: number): boolean {
  return byte === 0x2f || byte === 0x2a || byte === 0x5b || isLetterOrDigit(byte)
}

function isLetterOrDigit(byte: number): boolean {
  return (byte >= 48 && byte <= 57) || (byte >= 65 && byte <= 90) || (byte >= 97 && byte <= 122)
}

/** The four forms of RFC 9112 section 3.2. */
function isTarget(method: string, target: string): boolean {
  if (method === "CONNECT") return /^[^/@]+:[0-9]{1,5}$/.test(target)
  return target[0] === "/" || target === "*" || URL_START.test(target)
}

const URL_START = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)/i

/** Where the line ends of which only CR LF, or the LF that RFC 9112 section 2.2 tolerates, is left. */
function lineEnd(bytes: Uint8Array, at: number): number | "more" | undefined {
  const next = bytes[at] === CR ? at + 1 : at
  if (bytes[next] === undefined) return "more"
  return bytes[next] === LF ? next + 1 : undefined
}

interface Authority {
  readonly text: string
}

function authorityOf(method: string, target: string): Authority | undefined {
  if (method === "CONNECT") return { text: target }
  const url = target[0] === "/" ? null : URL_START.exec(target)
  if (url === null) return undefined
  return { text: url[1]!.slice(url[1]!.lastIndexOf("@") + 1) }
}

function pathOf(method: string, target: string): string | undefined {
  if (method === "CONNECT" || target === "*") return undefined
  const path = target.replace(URL_START, "").split(/[?#]/, 1)[0]!
  return path === "" ? "/" : path
}

/** The first Host field among the lines from `from`, an empty one if there is none. */
function hostField(bytes: Uint8Array, from: number): Authority | "more" | undefined {
  let at = from
  for (let fields = 0; fields <= MOST_FIELDS; fields++) {
    const lf = bytes.indexOf(LF, at)
    if (lf < 0) return "more"
    const end = lf > at && bytes[lf - 1] === CR ? lf - 1 : lf
    if (end === at) return { text: "" }
    if (isHost(bytes, at)) return { text: latin1(bytes, at + 5, end).trim() }
    at = lf + 1
  }
  return undefined
}

function isHost(bytes: Uint8Array, at: number): boolean {
  for (let i = 0; i < 4; i++) if ((bytes[at + i]! | 0x20) !== "host".charCodeAt(i)) return false
  return bytes[at + 4] === 0x3a
}

/** RFC 3986 section 3.2: a name, an IPv4 literal or an IPv6 literal in brackets, and a port. Anything else has no host. */
const AUTHORITY = /^(?:\[([0-9a-f:.]+)\]|([^\s:/?#@[\]\\]+?)\.?)(?::([0-9]{0,5}))?$/i

function hostAndPort(authority: string): { host: string | undefined; port: number | undefined } {
  const parts = AUTHORITY.exec(authority)
  const name = parts?.[1] ?? parts?.[2]
  if (parts === null || name === undefined || /[^!-~]/.test(name)) return { host: undefined, port: undefined }
  const port = Number(parts[3] || Number.NaN)
  return { host: name.toLowerCase(), port: port <= 65_535 ? port : undefined }
}

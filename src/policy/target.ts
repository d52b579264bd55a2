// Targets: where a route leads. A URL string outside, a parsed value inside.
import { formatHostPort, formatIp, parseIp, type Ip } from "./address.ts"

/** A parsed target. `host` is a name or an address literal; `ip` is set when it is a literal. */
export type Target =
  | {
      readonly kind: "tcp" | "tls"
      readonly url: string
      readonly host: string
      readonly port: number
      readonly ip: Ip | undefined
      /** Those of the host, where they came with its name: then it is not resolved. */
      readonly addresses?: readonly Ip[]
    }
  | { readonly kind: "unix"; readonly url: string; readonly path: string }

export class TargetInvalid extends Error {
  override readonly name = "TargetInvalid"
}

/** sun_path holds 108 bytes with its final zero (unix(7)). */
export const UNIX_PATH_BYTES = 107

export const EXPECTED_TARGET = "expected tcp://host:port, tls://host:port or unix:/path"

/** 10,000 different URLs: beyond that they are computed per connection, and parsing again is cheaper than keeping them. */
const CACHED_TARGETS = 10_000
const cache = new Map<string, Target>()

/** Parses a target URL; the same text gives the same value. @throws TargetInvalid */
export function parseTarget(url: string): Target {
  let target = cache.get(url)
  if (target === undefined) {
    target = parse(url)
    if (cache.size >= CACHED_TARGETS) cache.delete(cache.keys().next().value!)
    cache.set(url, target)
  }
  return target
}

function parse(url: string): Target {
  if (url.startsWith("unix:")) {
    const path = normalPath(url.slice(url.startsWith("unix://") ? 7 : 5))
    if (!path.startsWith("/")) throw invalid(url, "a unix: target needs an absolute path, like unix:/run/db.sock")
    if (new TextEncoder().encode(path).length > UNIX_PATH_BYTES)
      throw invalid(url, `a socket path holds at most ${UNIX_PATH_BYTES} bytes`)
    if (path.includes("\0")) throw invalid(url, "a path has no zero byte")
    return { kind: "unix", url: `unix:${path}`, path }
  }
  const match = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/i.exec(url)
  if (match === null) {
    const near = /^[^\s/@]+:\d{1,5}$/.test(url) ? `; did you mean ${JSON.stringify(`tcp://${url}`)}?` : ""
    throw invalid(url, `${EXPECTED_TARGET}${near}`)
  }
  const kind = match[1]!.toLowerCase()
  const rest = match[2]!
  if (kind !== "tcp" && kind !== "tls") {
    throw invalid(
      url,
      `${match[1]}:// is not a kind of target: ${EXPECTED_TARGET}; did you mean ${JSON.stringify(`${/^(https|ssl|tsl|tlss|wss)$/.test(kind) ? "tls" : "tcp"}://${rest}`)}?`,
    )
  }
  const hostPort = splitHostPort(rest)
  if (hostPort === undefined) throw invalid(url, `expected ${kind}://host:port`)
  if (hostPort.port === "") throw invalid(url, `a target needs a port, like ${kind}://${rest || "db"}:5432`)
  const port = parsePort(hostPort.port)
  if (port === undefined || port === 0)
    throw invalid(url, `${JSON.stringify(hostPort.port)} is not a port: expected 1 to 65535`)
  const ip = parseIp(hostPort.host)
  if (hostPort.bracketed && (ip === undefined || !hostPort.host.includes(":")))
    throw invalid(url, `${JSON.stringify(hostPort.host)} is not an IPv6 address`)
  if (ip === undefined && !isHostName(hostPort.host)) {
    throw invalid(
      url,
      looksNumeric(hostPort.host)
        ? `${JSON.stringify(hostPort.host)} is not an address: IPv4 is written as four decimal numbers without leading zeros`
        : `${JSON.stringify(hostPort.host)} is not a host name or an address`,
    )
  }
  const host = ip === undefined ? hostPort.host.toLowerCase() : formatIp(ip)
  return { kind, url: `${kind}://${formatHostPort(host, port)}`, host, port, ip }
}

/** One spelling per path, so that it can be compared: no empty steps, no `.` and no `..`. What is relative stays so. */
export function normalPath(path: string): string {
  if (!path.startsWith("/")) return path
  const steps: string[] = []
  for (const step of path.split("/")) {
    if (step === "..") steps.pop()
    else if (step !== "" && step !== ".") steps.push(step)
  }
  return `/${steps.join("/")}${path.endsWith("/") && steps.length > 0 ? "/" : ""}`
}

function invalid(url: string, why: string): TargetInvalid {
  return new TargetInvalid(`target ${JSON.stringify(url)}: ${why}`)
}

/** Splits `host:port`, `[v6]:port` or `:port`; the port is `""` where there is none. */
export function splitHostPort(text: string): { host: string; port: string; bracketed: boolean } | undefined {
  const bracket = /^\[([^\]]*)\](?::(.*))?$/.exec(text)
  if (bracket !== null) return { host: bracket[1]!, port: bracket[2] ?? "", bracketed: true }
  const parts = text.split(":")
  if (parts.length > 2 || /[/?#@\s]/.test(text)) return undefined
  return { host: parts[0]!, port: parts[1] ?? "", bracketed: false }
}

/** 0 to 65535, digits only. */
export function parsePort(text: string): number | undefined {
  return /^(0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65535 ? Number(text) : undefined
}

/** A DNS name (RFC 1123, underscores allowed as in service names) that cannot be taken for a number in disguise (`127.1`, `0x7f000001`). */
export function isHostName(text: string): boolean {
  const name = text.endsWith(".") ? text.slice(0, -1) : text
  if (name === "" || name.length > 253) return false
  const labels = name.split(".")
  if (!labels.every((label) => /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/i.test(label))) return false
  return !looksNumeric(name)
}

/** Whether resolvers would read the name as a number (WHATWG URL, "ends in a number"). */
function looksNumeric(name: string): boolean {
  return /(^|\.)(\d+|0x[0-9a-f]*)$/i.test(name)
}

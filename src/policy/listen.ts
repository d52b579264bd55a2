// `export const listen`: the URLs that a policy serves, parsed to what is bound and what is matched.
import { formatHostPort, formatIp, parseIp } from "./address.ts"
import { isHostName, normalPath, parsePort, splitHostPort, UNIX_PATH_BYTES } from "./target.ts"
import { didYouMean } from "./suggest.ts"
import { describe } from "./describe.ts"

/** The object form of `listen`: a URL and the options of that listener. */
export interface ListenOptions {
  readonly url: string
  /** Connections of this listener at one time; further clients wait in the backlog. 1 to 1,000,000. @default the gateway's own cap */
  readonly maxConnections?: number
}

/** What `export const listen` may be. */
export type Listen = string | ListenOptions | readonly (string | ListenOptions)[]

/**
 * What one socket is bound to. `"*"` is every address of both families, `"0.0.0.0"` and `"::"` every address of one.
 * Port 0 asks for any free port and is private to its file.
 */
export type Bind =
  | { readonly kind: "tcp"; readonly address: string; readonly port: number }
  | { readonly kind: "unix"; readonly path: string }

/** One listener that a file names. */
export interface ListenEntry {
  /** The normalised URL, like `tcp://127.0.0.1:9000`, `tcp://:9000` or `unix:/run/x.sock`. */
  readonly url: string
  readonly bind: Bind
  readonly maxConnections: number | undefined
}

export class ListenInvalid extends Error {
  override readonly name = "ListenInvalid"
}

/** 1,000 ports: a longer range is a slip, and each port is a descriptor. */
export const WIDEST_RANGE = 1000
const LISTEN_OPTIONS = ["url", "maxConnections"] as const
/** Options of later versions: known, so that the message can say so. */
const LATER_OPTIONS = ["address", "proxyProtocol"] as const

/** Parses `export const listen`. A range and `localhost` give several entries. @throws ListenInvalid */
export function parseListen(value: unknown): readonly ListenEntry[] {
  const list = Array.isArray(value) ? value : [value]
  if (list.length === 0) throw new ListenInvalid("listen is an empty list; leave it out to be asked on every listener")
  const entries = list.flatMap(parseEntry)
  const seen = new Set<string>()
  for (const entry of entries) {
    if (entry.bind.kind === "tcp" && entry.bind.port === 0) continue
    const key = identity(entry.bind, "")
    if (seen.has(key)) throw new ListenInvalid(`listen names ${entry.url} twice`)
    seen.add(key)
  }
  return entries
}

/** Names a listener: one socket per identity. Port 0 belongs to its file alone. */
export function identity(bind: Bind, file: string): string {
  if (bind.kind === "unix") return `unix:${bind.path}`
  return bind.port === 0
    ? `tcp:${formatHostPort(bind.address, 0)}#${file}`
    : `tcp:${formatHostPort(bind.address, bind.port)}`
}

function parseEntry(value: unknown): ListenEntry[] {
  if (typeof value === "string") return parseUrl(value, undefined)
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new ListenInvalid(
      `listen: expected a URL like "tcp://:5432", an object { url, ... } or a list of these, found ${describe(value)}`,
    )
  }
  for (const name of Object.keys(value)) {
    if ((LATER_OPTIONS as readonly string[]).includes(name))
      throw new ListenInvalid(`listen: ${name} is not there yet in this version`)
    if (!(LISTEN_OPTIONS as readonly string[]).includes(name)) {
      throw new ListenInvalid(`listen: there is no option ${JSON.stringify(name)}${didYouMean(name, LISTEN_OPTIONS)}`)
    }
  }
  const { url, maxConnections } = value as { url?: unknown; maxConnections?: unknown }
  if (typeof url !== "string")
    throw new ListenInvalid(`listen: url: expected a URL like "tcp://:5432", found ${describe(url)}`)
  if (
    maxConnections !== undefined &&
    !(Number.isInteger(maxConnections) && (maxConnections as number) >= 1 && (maxConnections as number) <= 1_000_000)
  ) {
    throw new ListenInvalid(
      `listen ${JSON.stringify(url)}: maxConnections: expected a whole number from 1 to 1,000,000, found ${describe(maxConnections)}`,
    )
  }
  return parseUrl(url, maxConnections as number | undefined)
}

function parseUrl(url: string, maxConnections: number | undefined): ListenEntry[] {
  if (url.startsWith("unix:")) return [unixEntry(url, maxConnections)]
  const match = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/i.exec(url)
  const scheme = match?.[1]!.toLowerCase()
  if (scheme === "tls" || scheme === "postgres")
    throw invalid(url, `${scheme}:// listeners come with TLS support; this version serves tcp:// and unix:`)
  if (match === null || scheme !== "tcp") {
    const near = /^(\[[^\]]*\]|[^\s/:]*):\d+(-\d+)?$/.test(url)
      ? `tcp://${url}`
      : scheme === undefined
        ? undefined
        : `tcp://${match?.[2]}`
    throw invalid(
      url,
      `expected tcp://address:port or unix:/path${near === undefined ? "" : `; did you mean ${JSON.stringify(near)}?`}`,
    )
  }
  const split = splitHostPort(match[2]!)
  if (split === undefined || split.port === "")
    throw invalid(url, 'expected a port, like "tcp://:5432" or "tcp://127.0.0.1:5432"')
  const ports = parsePorts(url, split.port)
  return addresses(url, split.host, split.bracketed).flatMap((address) =>
    ports.map((port) => ({
      url: `tcp://${formatHostPort(address === "*" ? "" : address, port)}`,
      bind: { kind: "tcp", address, port } as const,
      maxConnections,
    })),
  )
}

function addresses(url: string, host: string, bracketed: boolean): string[] {
  if (host === "" && !bracketed) return ["*"]
  if (host.toLowerCase() === "localhost") return ["127.0.0.1", "::1"]
  const ip = parseIp(host)
  if (ip !== undefined && bracketed === host.includes(":")) return [formatIp(ip)]
  if (isHostName(host))
    throw invalid(
      url,
      `a listener is bound to an address of this machine, not to the name ${JSON.stringify(host)}; leave it out for all addresses (tcp://:5432)`,
    )
  throw invalid(
    url,
    `${JSON.stringify(host)} is not an address: IPv4 is four decimal numbers without leading zeros, IPv6 stands in brackets`,
  )
}

function parsePorts(url: string, text: string): number[] {
  const [first, last, ...rest] = text.split("-").map(parsePort)
  if (first === undefined || rest.length > 0 || (text.includes("-") && last === undefined)) {
    throw invalid(url, `${JSON.stringify(text)} is not a port: expected 0 to 65535, or a range like 9000-9010`)
  }
  if (last === undefined) return [first]
  if (first === 0 || last < first)
    throw invalid(url, `${JSON.stringify(text)} is not a range: expected the lower port first, from 1`)
  if (last - first >= WIDEST_RANGE) throw invalid(url, `${last - first + 1} ports; a range has at most ${WIDEST_RANGE}`)
  return Array.from({ length: last - first + 1 }, (_, i) => first + i)
}

function unixEntry(url: string, maxConnections: number | undefined): ListenEntry {
  const path = normalPath(url.slice(url.startsWith("unix://") ? 7 : 5))
  if (!path.startsWith("/") || path.endsWith("/") || path.includes("\0"))
    throw invalid(url, "expected an absolute path, like unix:/run/tidegate/db.sock")
  if (new TextEncoder().encode(path).length > UNIX_PATH_BYTES)
    throw invalid(url, `a socket path holds at most ${UNIX_PATH_BYTES} bytes`)
  return { url: `unix:${path}`, bind: { kind: "unix", path }, maxConnections }
}

function invalid(url: string, why: string): ListenInvalid {
  return new ListenInvalid(`listen ${JSON.stringify(url)}: ${why}`)
}

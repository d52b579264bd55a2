// `export const listen`: the URLs that a policy serves, parsed to what is bound and what is matched.
import { formatHostPort, formatIp, parseIp } from "./address.ts"
import { isHostName, normalPath, parsePort, splitHostPort, UNIX_PATH_BYTES } from "./target.ts"
import { didYouMean, suggest } from "./suggest.ts"
import { describe } from "./describe.ts"
import { LimitInvalid } from "./limits.ts"
import {
  LISTENER_OPTIONS,
  NO_SETTINGS,
  readListenerOptions,
  type ListenerOptions,
  type ListenerSettings,
} from "./listener-options.ts"
import { ProxySendersInvalid } from "./proxy-senders.ts"

/** The object form of `listen`: a URL and the options of that listener. */
export interface ListenOptions extends ListenerOptions {
  readonly url: string
  /** The address to bind where the URL has a server name or nothing: `"10.0.0.5"`, `"::1"`, `"localhost"`. @default all addresses */
  readonly address?: string
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

/** What is read from a client before the policies are asked: nothing, its TLS hello, or PostgreSQL's way to it. */
export type Scheme = "tcp" | "tls" | "postgres"

/** One listener that a file names, and the server names that it serves there. */
export interface ListenEntry extends ListenerSettings {
  /** The normalised URL: `tcp://127.0.0.1:9000`, `tcp://:9000`, `tls://*.example.com:443` or `unix:/run/x.sock`. */
  readonly url: string
  readonly scheme: Scheme
  /** The SNI pattern: a name or `*.name` in lower case without a trailing dot; `undefined` matches every hello. */
  readonly pattern: string | undefined
  readonly bind: Bind
}

export class ListenInvalid extends Error {
  override readonly name = "ListenInvalid"
}

/** 1,000 ports: a longer range is a slip, and each port is a descriptor. */
export const WIDEST_RANGE = 1000
const LISTEN_OPTIONS: readonly string[] = ["url", "address", ...LISTENER_OPTIONS]

/** Parses `export const listen`. A range and `localhost` give several entries. @throws ListenInvalid */
export function parseListen(value: unknown): readonly ListenEntry[] {
  const list = Array.isArray(value) ? value : [value]
  if (list.length === 0) throw new ListenInvalid("listen is an empty list; leave it out to be asked on every listener")
  const entries = list.flatMap(parseEntry)
  const schemes = new Map<string, Scheme>()
  const seen = new Set<string>()
  for (const { bind, pattern, scheme, url } of entries) {
    const id = identity(bind, "")
    const other = schemes.get(id)
    if (other !== undefined && other !== scheme)
      throw new ListenInvalid(`listen: ${url} and ${other}:// on one address and port; a listener has one scheme`)
    schemes.set(id, scheme)
    if (bind.kind === "tcp" && bind.port === 0) continue
    const key = `${id} ${pattern ?? ""}`
    if (seen.has(key)) throw new ListenInvalid(`listen names ${url} twice`)
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
  if (typeof value === "string") return parseUrl(value, NO_SETTINGS, undefined)
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new ListenInvalid(
      `listen: expected a URL like "tcp://:5432", an object { url, ... } or a list of these, found ${describe(value)}`,
    )
  }
  for (const name of Object.keys(value)) {
    if (!LISTEN_OPTIONS.includes(name)) {
      throw new ListenInvalid(`listen: there is no option ${JSON.stringify(name)}${didYouMean(name, LISTEN_OPTIONS)}`)
    }
  }
  const { address, url, ...options } = value as { address?: unknown; url?: unknown }
  if (typeof url !== "string")
    throw new ListenInvalid(`listen: url: expected a URL like "tcp://:5432", found ${describe(url)}`)
  const what = `listen ${JSON.stringify(url)}`
  if (address !== undefined && typeof address !== "string")
    throw new ListenInvalid(`${what}: address: expected an address like "10.0.0.5", found ${describe(address)}`)
  const entries = parseUrl(url, settings(what, url.startsWith("unix:"), options), address)
  if (entries[0]!.scheme === "tcp") refuseNameKeys(what, entries[0]!)
  return entries
}

function settings(what: string, onUnix: boolean, options: object): ListenerSettings {
  try {
    return readListenerOptions(what, onUnix, options)
  } catch (error) {
    const known = error instanceof LimitInvalid || error instanceof ProxySendersInvalid
    throw known ? new ListenInvalid(error.message) : error
  }
}

/** Where no hello is read there are no names to tell apart. */
function refuseNameKeys(what: string, { rateLimit, concurrencyLimit, bandwidth }: ListenerSettings): void {
  for (const [name, limit] of Object.entries({ rateLimit, concurrencyLimit, bandwidth }))
    if (limit?.key === "sni")
      throw new ListenInvalid(
        `${what}: ${name}: key: "sni" needs a tls:// or postgres:// listener, which reads the name`,
      )
}

const SCHEMES: readonly string[] = ["tcp", "tls", "postgres"] satisfies Scheme[]

/** What whoever wrote another scheme is likely to have meant. */
function nearestScheme(scheme: string): string {
  if (/^(https|ssl|sni|wss)$/.test(scheme)) return "tls"
  if (/^(postgresql|pg)$/.test(scheme)) return "postgres"
  return suggest(scheme, SCHEMES) ?? "tcp"
}

function parseUrl(url: string, settings: ListenerSettings, address: string | undefined): ListenEntry[] {
  if (url.startsWith("unix:")) {
    if (address !== undefined) throw invalid(url, "a socket path has no address")
    return [unixEntry(url, settings)]
  }
  const match = /^([a-z][a-z0-9+.-]*):\/\/(.*)$/i.exec(url)
  const scheme = match?.[1]!.toLowerCase()
  if (match === null || !SCHEMES.includes(scheme!)) {
    const near = /^(\[[^\]]*\]|[^\s/:]*):\d+(-\d+)?$/.test(url)
      ? `tcp://${url}`
      : scheme === undefined
        ? undefined
        : `${nearestScheme(scheme)}://${match?.[2]}`
    throw invalid(
      url,
      `expected tcp://address:port, tls://name:port, postgres://name:port or unix:/path${near === undefined ? "" : `; did you mean ${JSON.stringify(near)}?`}`,
    )
  }
  if (/[/?#@]/.test(match[2]!)) throw invalid(url, `expected nothing but a name or an address, and a port`)
  const split = splitHostPort(match[2]!)
  if (split === undefined || split.port === "")
    throw invalid(url, `expected a port, like "${scheme}://:5432" or "${scheme}://127.0.0.1:5432"`)
  const ports = parsePorts(url, split.port)
  const pattern = scheme === "tcp" ? undefined : patternOf(url, split)
  if (address !== undefined && split.host !== "" && pattern === undefined)
    throw invalid(url, `address ${JSON.stringify(address)}: the URL names an address already`)
  const hosts =
    address !== undefined
      ? addresses(url, address, address.includes(":"))
      : pattern !== undefined
        ? ["*"]
        : addresses(url, split.host, split.bracketed)
  return hosts.flatMap((host) =>
    ports.map((port) => ({
      url: `${scheme}://${pattern === undefined ? formatHostPort(host === "*" ? "" : host, port) : `${pattern}:${port}`}`,
      scheme: scheme as Scheme,
      pattern,
      bind: { kind: "tcp", address: host, port } as const,
      ...settings,
    })),
  )
}

/** The server names of a `tls://` or `postgres://` URL; `undefined` where it has an address or nothing. */
function patternOf(url: string, { host, bracketed }: { host: string; bracketed: boolean }): string | undefined {
  if (host === "" || bracketed || parseIp(host) !== undefined) return undefined
  const pattern = host.toLowerCase().replace(/\.$/, "")
  if (isHostName(pattern.startsWith("*.") ? pattern.slice(2) : pattern)) return pattern
  if (pattern === "*") throw invalid(url, 'leave the name out to match every one, like "tls://:443"')
  if (pattern.includes("*"))
    throw invalid(url, `${JSON.stringify(host)}: a "*" stands for whole labels at the start, like "*.example.com"`)
  if (/\P{ASCII}/u.test(pattern))
    throw invalid(url, `${JSON.stringify(host)}: clients send international names in their ASCII form (xn--...)`)
  throw invalid(
    url,
    `${JSON.stringify(host)} is neither a server name nor an address: IPv4 is four decimal numbers without leading zeros, IPv6 stands in brackets`,
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

function unixEntry(url: string, settings: ListenerSettings): ListenEntry {
  const path = normalPath(url.slice(url.startsWith("unix://") ? 7 : 5))
  if (!path.startsWith("/") || path.endsWith("/") || path.includes("\0"))
    throw invalid(url, "expected an absolute path, like unix:/run/tidegate/db.sock")
  if (new TextEncoder().encode(path).length > UNIX_PATH_BYTES)
    throw invalid(url, `a socket path holds at most ${UNIX_PATH_BYTES} bytes`)
  return { url: `unix:${path}`, scheme: "tcp", pattern: undefined, bind: { kind: "unix", path }, ...settings }
}

function invalid(url: string, why: string): ListenInvalid {
  return new ListenInvalid(`listen ${JSON.stringify(url)}: ${why}`)
}

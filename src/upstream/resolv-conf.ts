// Which DNS servers there are and how they are asked, as resolv.conf(5) has it. Pure.
import { parseIp } from "../policy/address.ts"
import { parsePort, splitHostPort } from "../policy/target.ts"

export interface DnsServer {
  /** An address; one of IPv6 may have a zone. */
  readonly address: string
  readonly family: "IPv4" | "IPv6"
  readonly port: number
}

export interface ResolverSettings {
  readonly servers: readonly DnsServer[]
  /** Appended to names, in this order. */
  readonly search: readonly string[]
  /** Names with so many dots are tried as they are before anything is appended. */
  readonly ndots: number
  /** Milliseconds for one question to one server. */
  readonly timeout: number
  /** How often all servers are asked. */
  readonly attempts: number
}

const DNS_PORT = 53
/** As glibc: MAXNS, and the bounds of each option. */
const MOST_SERVERS = 3
const MOST_NDOTS = 15
const LONGEST_TIMEOUT = 30
const MOST_ATTEMPTS = 5
/** 32 domains of at most 253 characters: a name is asked for once with each, for every family. */
const MOST_SEARCH = 32
/** 64 KiB: the file has a few lines. */
export const LONGEST_FILE = 65_536

/** What a resolver takes where the file says nothing: the server of this machine. */
const DEFAULTS = { ndots: 1, timeout: 5, attempts: 2 }
const LOCAL: DnsServer = { address: "127.0.0.1", family: "IPv4", port: DNS_PORT }

/** Reads the file; what cannot be read in it is as if it were not there. @param hostname whose domain is searched where none is said */
export function parseResolvConf(text: string, hostname: string): ResolverSettings {
  const servers: DnsServer[] = []
  const domain = hostname.includes(".") ? hostname.slice(hostname.indexOf(".") + 1) : ""
  let search = [domain]
  const options = { ...DEFAULTS }
  for (const line of text.slice(0, LONGEST_FILE).split("\n")) {
    if (/^\s*[#;]/.test(line)) continue
    const [keyword, ...values] = line.trim().split(/\s+/)
    if (keyword === "nameserver") {
      const server = values[0] === undefined ? undefined : parseServerAddress(values[0], DNS_PORT)
      if (server !== undefined && servers.length < MOST_SERVERS) servers.push(server)
    } else if (keyword === "domain" || keyword === "search") search = values
    else if (keyword === "options") for (const option of values) setOption(options, option)
  }
  return {
    servers: servers.length === 0 ? [LOCAL] : servers,
    search: search
      .map((each) => each.replace(/\.$/, "").toLowerCase())
      .filter((each) => each !== "")
      .slice(0, MOST_SEARCH),
    ndots: Math.min(options.ndots, MOST_NDOTS),
    timeout: Math.min(Math.max(options.timeout, 1), LONGEST_TIMEOUT) * 1000,
    attempts: Math.min(Math.max(options.attempts, 1), MOST_ATTEMPTS),
  }
}

function setOption(options: typeof DEFAULTS, text: string): void {
  const match = /^(ndots|timeout|attempts):(\d{1,4})$/.exec(text)
  if (match !== null) options[match[1] as keyof typeof DEFAULTS] = Number(match[2])
}

/** `127.0.0.1`, `127.0.0.1:5353`, `::1`, `[::1]:5353`, `fe80::1%eth0`; `undefined` for anything else. */
export function parseServer(text: string): DnsServer | undefined {
  const whole = parseServerAddress(text, DNS_PORT)
  if (whole !== undefined) return whole
  const split = splitHostPort(text)
  const port = split === undefined || split.port === "" ? DNS_PORT : parsePort(split.port)
  return split === undefined || port === undefined || port === 0 ? undefined : parseServerAddress(split.host, port)
}

function parseServerAddress(text: string, port: number): DnsServer | undefined {
  const [address, zone] = text.split("%", 2)
  const ip = parseIp(address!)
  if (ip === undefined || (zone !== undefined && (zone === "" || ip.family === "IPv4"))) return undefined
  // An IPv4 address in IPv6 form stays what the socket is to be opened for.
  return { address: text, family: text.includes(":") ? "IPv6" : "IPv4", port }
}

/** The names to ask for, in order, without a final dot: as they are, and with what is searched appended. */
export function candidates(name: string, { ndots, search }: ResolverSettings): readonly string[] {
  if (name.endsWith(".")) return [name.slice(0, -1)]
  const dots = name.split(".").length - 1
  const searched = search.map((domain) => `${name}.${domain}`).filter((each) => each.length <= LONGEST_NAME)
  return dots >= ndots ? [name, ...searched] : [...searched, name]
}

/** 253 characters (RFC 1035 section 2.3.4: 255 bytes in wire form). */
const LONGEST_NAME = 253

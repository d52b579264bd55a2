// What the DNS has for a target, as ways to reach it, in an order that does not change by itself. Where it cannot say
// something about a part of them, that part is as it was.
import { Effect, Option } from "effect"
import { formatHostPort, formatIp, type Ip } from "../policy/address.ts"
import type { TargetSpec } from "../policy/pool.ts"
import type { Addresses, Dns } from "./dns.ts"
import type { LookupFailed, NothingFound } from "./dns-failed.ts"
import type { Service } from "./dns-message.ts"
import { interleave } from "./resolve.ts"

/** 100 hosts of SRV records whose addresses did not come along, 8 at one time; connections look up those of the others. */
const MOST_HOSTS = 100
const HOSTS_AT_ONCE = 8
/** 1 s for a host: the others wait for it. */
const HOST_WITHIN = 1000

export type Followed = Exclude<TargetSpec["source"], { readonly kind: "target" }>

/** One way to reach what is followed. */
export interface DnsRecord {
  /** `host:port`: differs from that of all other records of the answer. */
  readonly name: string
  /** An address for `dns://`, a host name for `srv://`. */
  readonly host: string
  readonly port: number
  /** Addresses of a host name, in the order to dial them. Empty where they are not known: the host is to be looked up. */
  readonly addresses: readonly Ip[]
  /** At least 1, and 1 for all addresses of a name. */
  readonly weight: number
  /** 0 for all addresses of a name. */
  readonly priority: number
}

/** What an answer comes to. */
export interface Heard {
  readonly records: readonly DnsRecord[]
  /** Seconds. */
  readonly ttl: number
  /** Nobody could say everything. */
  readonly problem: string | undefined
}

/** Asks once, each time it runs; it keeps what it heard last. */
export function recordsOf(source: Followed, dns: Dns): Effect.Effect<Heard, LookupFailed | NothingFound> {
  return source.kind === "dns" ? addressesOf(source, dns) : servicesOf(source, dns)
}

/** A family about which nobody can say anything keeps its addresses. */
function addressesOf(
  { host, port }: Extract<Followed, { readonly kind: "dns" }>,
  dns: Dns,
): Effect.Effect<Heard, LookupFailed | NothingFound> {
  let ipv4: readonly Ip[] = []
  let ipv6: readonly Ip[] = []
  const heard = (answer: Addresses): Heard => {
    // Of a family that never had any nothing is missed.
    const isMissed = (answer.ipv4 === undefined && ipv4.length > 0) || (answer.ipv6 === undefined && ipv6.length > 0)
    ipv4 = answer.ipv4 ?? ipv4
    ipv6 = answer.ipv6 ?? ipv6
    const addresses = new Set([...ipv4, ...ipv6].map(formatIp))
    const records = Array.from(addresses, (address) => ({
      name: formatHostPort(address, port),
      host: address,
      port,
      addresses: [],
      weight: 1,
      priority: 0,
    }))
    return {
      records: records.sort(inOrder),
      ttl: answer.ttl,
      problem: isMissed ? `${host}: ${answer.problem}` : undefined,
    }
  }
  return Effect.map(dns.addresses(host), heard)
}

/** A host whose addresses did not come along is asked for, so that no connection has to wait for its name. */
function servicesOf(
  { service }: Extract<Followed, { readonly kind: "srv" }>,
  dns: Dns,
): Effect.Effect<Heard, LookupFailed | NothingFound> {
  let known = new Map<string, readonly Ip[]>()
  return Effect.gen(function* () {
    const { addresses, services, ttl } = yield* dns.services(service)
    const hosts = [...new Set(services.map(({ host }) => host))].filter((host) => !addresses.has(host))
    const found = yield* Effect.forEach(hosts.sort(compare).slice(0, MOST_HOSTS), (host) => hostOf(host, dns), {
      concurrency: HOSTS_AT_ONCE,
    })
    known = new Map([
      ...found.map((host) => [host.host, addressesNow(host, known.get(host.host) ?? [])] as const),
      ...addresses,
    ])
    const records = services.map((each) => recordOf(each, known.get(each.host) ?? []))
    // The same host and port twice is one target, as its best record has it: the last that goes into the map.
    const distinct = new Map(
      records
        .sort(inOrder)
        .toReversed()
        .map((record) => [record.name, record]),
    )
    return {
      records: [...distinct.values()].sort(inOrder),
      ttl: Math.min(ttl, ...found.map((each) => each.ttl)),
      problem: found.find((each) => each.problem !== undefined)?.problem,
    }
  })
}

interface FoundHost extends Pick<Addresses, "ipv4" | "ipv6" | "problem" | "ttl"> {
  readonly host: string
}

/** Of a host, and of a family of its addresses, about which nobody can say anything the last answer stands too. */
function addressesNow({ ipv4, ipv6 }: FoundHost, known: readonly Ip[]): readonly Ip[] {
  return [
    ...(ipv4 ?? known.filter(({ family }) => family === "IPv4")),
    ...(ipv6 ?? known.filter(({ family }) => family === "IPv6")),
  ]
}

/** Names in records are absolute. */
function hostOf(host: string, dns: Dns): Effect.Effect<FoundHost> {
  const nothing = (problem: string | undefined): FoundHost => ({
    host,
    ipv4: undefined,
    ipv6: undefined,
    ttl: Number.POSITIVE_INFINITY,
    problem,
  })
  return Effect.timeoutOption(dns.addresses(`${host}.`), HOST_WITHIN).pipe(
    Effect.map((answer) =>
      // One family is enough: of many hosts the other has none.
      Option.isSome(answer)
        ? { ...answer.value, host, problem: undefined }
        : nothing(`${host}: no answer within ${HOST_WITHIN} ms`),
    ),
    // The word that there is nothing is no trouble of the DNS.
    Effect.catch((failure) => Effect.succeed(nothing(failure._tag === "NothingFound" ? undefined : failure.message))),
  )
}

function recordOf({ host, port, priority, weight }: Service, addresses: readonly Ip[]): DnsRecord {
  return {
    name: formatHostPort(host, port),
    host,
    port,
    // IPv6 first, as RFC 6724 prefers it; families in turn, as connections try them.
    addresses: interleave([...addresses].sort(byFamily)),
    // In a pool 0 means none; in RFC 2782 it means a chance of one to the sum of the others, which 1 has here.
    weight: Math.max(weight, 1),
    priority,
  }
}

function inOrder(a: DnsRecord, b: DnsRecord): number {
  return a.priority - b.priority || compare(a.name, b.name) || b.weight - a.weight
}

function byFamily(a: Ip, b: Ip): number {
  return compare(b.family, a.family) || compare(formatIp(a), formatIp(b))
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

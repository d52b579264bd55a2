// Follows what the DNS says of a target: asks, waits as long as the answer holds, and asks again, for ever. What it said
// last stands while it says nothing: a target that is really gone fails its checks and its connections, and a pool
// without targets helps nobody. Only an SRV record which says that there is no such service takes all of them away.
import { Effect, Random, Result } from "effect"
import { formatHostPort, formatIp, type Ip } from "../policy/address.ts"
import type { TargetSpec } from "../policy/pool.ts"
import type { Addresses, Dns, Services } from "./dns.ts"
import type { LookupFailed, NothingFound } from "./dns-failed.ts"

/** 1 s, also for answers that hold for no time at all: DNS servers of service discovery say 0. */
const SHORTEST = 1000
/** 5 minutes: a name that moves is noticed by then, whatever its record says. */
const LONGEST = 300_000
/** 1, 2, 4 to 30 s after failures in a row; 30 s at most too after the word that there is nothing, which may hold for hours. */
const FIRST_RETRY = 1000
const LONGEST_RETRY = 30_000
/** Up to a tenth later, so that many names do not stay in step. Never earlier: the answer would be the same. */
const JITTER = 0.1
/** 1,000 records of a name; an answer of 64 KiB has some 4,000. */
const MOST_RECORDS = 1000

/** One way to reach what is followed. */
export interface DnsRecord {
  /** `host:port`: differs from that of all other records of the answer. */
  readonly name: string
  /** An address for `dns://`, a host name for `srv://`. */
  readonly host: string
  readonly port: number
  /** Addresses that came with a host name: those to dial. Empty where the host is to be resolved. */
  readonly addresses: readonly Ip[]
  /** At least 1, and 1 for all addresses of a name. */
  readonly weight: number
  /** 0 for all addresses of a name. */
  readonly priority: number
}

export interface FollowOptions {
  readonly dns: Dns
  /** Called with the first answer and with every other one that differs, in an order that does not change by itself. */
  readonly onRecords: (records: readonly DnsRecord[]) => void
  /** Called once with what is wrong, in place of records or beside those that stand; `undefined` once nothing is. */
  readonly onProblem: (problem: string | undefined) => void
}

export type Followed = Exclude<TargetSpec["source"], { readonly kind: "target" }>

/** What an answer comes to. */
interface Heard {
  readonly records: readonly DnsRecord[]
  /** Seconds. */
  readonly ttl: number
  /** Nobody could say everything. */
  readonly problem: string | undefined
}

/** Follows a `dns://` or `srv://` source until it is interrupted. */
export const follow = (source: Followed, { dns, onProblem, onRecords }: FollowOptions): Effect.Effect<never> =>
  Effect.suspend(() => {
    const ask = source.kind === "dns" ? addressesOf(source, dns) : servicesOf(source, dns)
    let known: string | undefined
    let failures = 0
    let trouble: Trouble = "none"

    const tell = (now: Trouble, problem: string | undefined) => {
      if (now !== trouble) onProblem(problem)
      trouble = now
    }
    const heard = ({ problem, records, ttl }: Heard): number => {
      const used = records.slice(0, MOST_RECORDS)
      const now = JSON.stringify(used)
      if (now !== known) onRecords(used)
      known = now
      if (problem !== undefined) return failed(problem)
      failures = 0
      if (used.length === records.length) tell("none", undefined)
      else tell("too-many", `${nameOf(source)}: it has ${records.length} records, of which ${MOST_RECORDS} are used`)
      return Math.min(Math.max(ttl * 1000, SHORTEST), LONGEST)
    }
    const failed = (problem: string): number => {
      tell("failed", problem)
      return Math.min(FIRST_RETRY * 2 ** failures++, LONGEST_RETRY)
    }
    const nothing = ({ message, ttl }: NothingFound): number => {
      failures = 0
      tell("nothing", message)
      return Math.min(Math.max(ttl * 1000, SHORTEST), LONGEST_RETRY)
    }

    const once = Effect.gen(function* () {
      const outcome = yield* Effect.result(ask)
      const wait = Result.isSuccess(outcome)
        ? heard(outcome.success)
        : outcome.failure._tag === "NothingFound"
          ? nothing(outcome.failure)
          : failed(outcome.failure.message)
      yield* Effect.sleep(wait * (1 + JITTER * (yield* Random.next)))
    })
    return Effect.forever(once)
  })

type Trouble = "none" | "failed" | "nothing" | "too-many"

function nameOf(source: Followed): string {
  return source.kind === "dns" ? source.host : source.service
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

function servicesOf(
  { service }: Extract<Followed, { readonly kind: "srv" }>,
  dns: Dns,
): Effect.Effect<Heard, LookupFailed | NothingFound> {
  return Effect.map(dns.services(service), ({ addresses, services, ttl }: Services): Heard => {
    const records = services.map(({ host, port, priority, weight }) => ({
      name: formatHostPort(host, port),
      host,
      port,
      addresses: [...(addresses.get(host) ?? [])].sort(byText),
      // In a pool 0 means none; in RFC 2782 it means a chance of one to the sum of the others, which 1 has here.
      weight: Math.max(weight, 1),
      priority,
    }))
    // The same host and port twice is one target, as its best record has it: the last that goes into the map.
    const distinct = new Map(
      records
        .sort(inOrder)
        .toReversed()
        .map((record) => [record.name, record]),
    )
    return { records: [...distinct.values()].sort(inOrder), ttl, problem: undefined }
  })
}

function inOrder(a: DnsRecord, b: DnsRecord): number {
  return a.priority - b.priority || compare(a.name, b.name) || b.weight - a.weight
}

function byText(a: Ip, b: Ip): number {
  return compare(formatIp(a), formatIp(b))
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

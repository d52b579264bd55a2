// The options of limits, read and checked: what people write becomes the same with every default filled in.
import { parseByteRate } from "./byte-rate.ts"
import { describe } from "./describe.ts"
import { DurationInvalid, milliseconds } from "./duration.ts"
import {
  LimitInvalid,
  type BandwidthSpec,
  type ConcurrencyLimitSpec,
  type KeySpec,
  type LimitKey,
  type RateLimitSpec,
} from "./limits.ts"
import { didYouMean } from "./suggest.ts"

/** A function that gives the key, or a key that needs no code. */
export type AnyKey = KeySpec | Extract<LimitKey, Function>

/** 10^9: counts stay exact where they are added up. */
const MOST = 1_000_000_000
/** One IPv4 address and one IPv6 /64: what one customer is given, who may use any address of it. */
const CLIENT = Object.freeze({ ipv4: 32, ipv6: 64 })
const WIDTHS = { ipv4: 32, ipv6: 128 } as const
const RATE_OPTIONS = ["limit", "per", "burst", "key"]
const CONCURRENCY_OPTIONS = ["max", "key"]
const BANDWIDTH_OPTIONS = ["up", "down", "key"]
const KEYS = ["client", "sni", "all"]

/** @throws LimitInvalid, naming `what`; also for a key that is a function */
export function readRateLimit(what: string, value: unknown): RateLimitSpec {
  return { ...rate(what, value), key: namedKey(what, value) }
}

/** As {@link readRateLimit}, for code: the key may be a function. */
export function readRateLimitByAnyKey(what: string, value: unknown): RateLimitSpec<AnyKey> {
  return { ...rate(what, value), key: anyKey(what, value) }
}

/** @throws LimitInvalid, naming `what`; also for a key that is a function */
export function readConcurrencyLimit(what: string, value: unknown): ConcurrencyLimitSpec {
  return { ...concurrency(what, value), key: namedKey(what, value) }
}

/** As {@link readConcurrencyLimit}, for code: the key may be a function. */
export function readConcurrencyLimitByAnyKey(what: string, value: unknown): ConcurrencyLimitSpec<AnyKey> {
  return { ...concurrency(what, value), key: anyKey(what, value) }
}

/** @throws LimitInvalid, naming `what` */
export function readBandwidth(what: string, value: unknown): BandwidthSpec {
  const { up, down, key } = optionsOf(what, value, BANDWIDTH_OPTIONS, '{ up: "1 MiB", down: "10 MiB" }')
  if (up === undefined && down === undefined) throw new LimitInvalid(`${what}: expected up, down or both`)
  return {
    up: up === undefined ? undefined : parseByteRate(up, `${what}: up`),
    down: down === undefined ? undefined : parseByteRate(down, `${what}: down`),
    key: key === undefined ? undefined : namedKey(what, value),
  }
}

/** A key as people write it. */
export function shownKey(key: AnyKey): string {
  if (typeof key === "function") return "a function"
  if (typeof key === "string") return JSON.stringify(key)
  const { ipv4, ipv6 } = key
  return ipv4 === CLIENT.ipv4 && ipv6 === CLIENT.ipv6 ? '"client"' : `{ ipv4: ${ipv4}, ipv6: ${ipv6} }`
}

function rate(what: string, value: unknown): Omit<RateLimitSpec, "key"> {
  const { limit, per, burst } = optionsOf(what, value, RATE_OPTIONS, '{ limit: 20, per: "1 minute" }')
  const most = count(`${what}: limit`, limit)
  return {
    limit: most,
    per: period(`${what}: per`, per),
    burst: burst === undefined ? most : count(`${what}: burst`, burst),
  }
}

function concurrency(what: string, value: unknown): Omit<ConcurrencyLimitSpec, "key"> {
  const { max } = optionsOf(what, value, CONCURRENCY_OPTIONS, "{ max: 10 }")
  return { max: count(`${what}: max`, max) }
}

function optionsOf(
  what: string,
  value: unknown,
  known: readonly string[],
  example: string,
): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new LimitInvalid(`${what}: expected options like ${example}, found ${describe(value)}`)
  for (const name of Object.keys(value))
    if (!known.includes(name))
      throw new LimitInvalid(`${what}: there is no option ${JSON.stringify(name)}${didYouMean(name, known)}`)
  return value as Readonly<Record<string, unknown>>
}

function count(what: string, value: unknown): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= MOST) return value
  throw new LimitInvalid(`${what}: expected a whole number from 1 to 1,000,000,000, found ${describe(value)}`)
}

function period(what: string, value: unknown): number {
  try {
    const parsed = milliseconds(value, what)
    if (parsed >= 1) return parsed
  } catch (error) {
    if (error instanceof DurationInvalid) throw new LimitInvalid(error.message)
    throw error
  }
  throw new LimitInvalid(`${what}: expected 1 millisecond to 30 days, found ${describe(value)}`)
}

function namedKey(what: string, options: unknown): KeySpec {
  const key = anyKey(what, options)
  if (typeof key !== "function") return key
  throw new LimitInvalid(`${what}: key: a function is for limits that a policy makes; expected ${expected()}`)
}

function anyKey(what: string, options: unknown): AnyKey {
  const { key } = options as { readonly key?: unknown }
  if (key === undefined || key === "client") return CLIENT
  if (key === "sni" || key === "all") return key
  if (isFunction(key)) return key
  if (typeof key === "string")
    throw new LimitInvalid(
      `${what}: key: there is no ${JSON.stringify(key)}${/^(ip|address|peer|source)$/i.test(key) ? '; did you mean "client"?' : didYouMean(key, KEYS)}`,
    )
  if (typeof key !== "object" || key === null || Array.isArray(key) || Object.keys(key).length === 0)
    throw new LimitInvalid(`${what}: key: expected ${expected()}, found ${describe(key)}`)
  for (const name of Object.keys(key))
    if (!Object.hasOwn(WIDTHS, name))
      throw new LimitInvalid(
        `${what}: key: there is no ${JSON.stringify(name)}${didYouMean(name, Object.keys(WIDTHS))}; expected ${expected()}`,
      )
  const { ipv4, ipv6 } = key as { readonly ipv4?: unknown; readonly ipv6?: unknown }
  return { ipv4: prefix(what, "ipv4", ipv4), ipv6: prefix(what, "ipv6", ipv6) }
}

function expected(): string {
  return '"client", "sni", "all" or prefix lengths like { ipv4: 24, ipv6: 48 }'
}

function prefix(what: string, family: keyof typeof WIDTHS, value: unknown): number {
  if (value === undefined) return CLIENT[family]
  if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= WIDTHS[family]) return value
  throw new LimitInvalid(
    `${what}: key: ${family}: expected a prefix length from 0 to ${WIDTHS[family]}, found ${describe(value)}`,
  )
}

function isFunction(key: unknown): key is Extract<LimitKey, Function> {
  return typeof key === "function"
}

// Sets of address ranges: compiled once into sorted, merged ranges, asked by binary search.
import { parseIp, type Ip } from "./address.ts"
import { describe } from "./describe.ts"

/** Thrown for a CIDR that does not parse; the message quotes it and says what is expected. */
export class CidrInvalid extends Error {
  override readonly name = "CidrInvalid"
}

/** A compiled set of CIDRs, made by {@link cidrs}. */
export interface CidrSet {
  /** The CIDRs it was made from, as they were written. */
  readonly cidrs: readonly string[]
  contains(ip: Ip): boolean
}

interface Range {
  readonly family: "IPv4" | "IPv6"
  readonly low: readonly number[]
  readonly high: readonly number[]
}

/** Words per address in the tables below. */
const WIDTH = { IPv4: 1, IPv6: 4 } as const

class Ranges implements CidrSet {
  readonly cidrs: readonly string[]
  private readonly v4: Uint32Array
  private readonly v6: Uint32Array

  constructor(texts: readonly string[]) {
    const ranges = texts.map(parseCidr)
    this.cidrs = texts
    this.v4 = table(ranges, "IPv4")
    this.v6 = table(ranges, "IPv6")
  }

  contains(ip: Ip): boolean {
    return ip.family === "IPv4" ? this.containsV4(ip.a) : this.containsV6(ip)
  }

  private containsV4(address: number): boolean {
    const table = this.v4
    let low = 0
    let high = table.length >> 1
    while (low < high) {
      const middle = (low + high) >> 1
      if (table[middle * 2]! > address) high = middle
      else low = middle + 1
    }
    return low > 0 && table[low * 2 - 1]! >= address
  }

  private containsV6(ip: Ip): boolean {
    const table = this.v6
    let low = 0
    let high = table.length >> 3
    while (low < high) {
      const middle = (low + high) >> 1
      if (compareAt(table, middle * 8, ip) > 0) high = middle
      else low = middle + 1
    }
    return low > 0 && compareAt(table, low * 8 - 4, ip) >= 0
  }
}

function compareAt(table: Uint32Array, at: number, ip: Ip): number {
  return table[at]! - ip.a || table[at + 1]! - ip.b || table[at + 2]! - ip.c || table[at + 3]! - ip.d
}

/** Reads `address/bits`, or an address alone (all bits). Host bits may be set and are ignored, as in nginx and HAProxy. */
function parseCidr(text: string): Range {
  const [address, bits, ...rest] = typeof text === "string" ? text.split("/") : []
  const ip = address === undefined ? undefined : parseIp(address)
  if (ip === undefined || rest.length > 0) {
    throw new CidrInvalid(
      `${describe(text)} is not a CIDR: expected an address and a prefix length, like "10.0.0.0/8" or "2001:db8::/32"`,
    )
  }
  // A mapped address (::ffff:10.0.0.0/104) has become IPv4 already; its prefix counts from 96.
  const mapped = ip.family === "IPv4" && address!.includes(":")
  const width = ip.family === "IPv4" ? 32 : 128
  const prefix = bits === undefined ? width : /^(0|[1-9][0-9]{0,2})$/.test(bits) ? Number(bits) - (mapped ? 96 : 0) : -1
  if (prefix < 0 || prefix > width) {
    throw new CidrInvalid(
      `${describe(text)} is not a CIDR: the prefix length of an ${ip.family} address is ${mapped ? "96 to 128" : `0 to ${width}`}`,
    )
  }
  const words = [ip.a, ip.b, ip.c, ip.d].slice(0, WIDTH[ip.family])
  const masks = words.map((_, i) => mask(prefix - i * 32))
  return {
    family: ip.family,
    low: words.map((word, i) => (word & masks[i]!) >>> 0),
    high: words.map((word, i) => (word | ~masks[i]!) >>> 0),
  }
}

function mask(bits: number): number {
  if (bits <= 0) return 0
  return bits >= 32 ? 0xffffffff : (0xffffffff << (32 - bits)) >>> 0
}

function compareWords(a: readonly number[], b: readonly number[]): number {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return a[i]! - b[i]!
  return 0
}

/** Sorted and merged: low words, high words, low words, high words, ... */
function table(ranges: readonly Range[], family: Range["family"]): Uint32Array {
  const sorted = ranges.filter((range) => range.family === family).sort((a, b) => compareWords(a.low, b.low))
  const merged: { low: readonly number[]; high: readonly number[] }[] = []
  for (const range of sorted) {
    const last = merged.at(-1)
    if (last !== undefined && compareWords(range.low, last.high) <= 0) {
      if (compareWords(range.high, last.high) > 0) last.high = range.high
    } else merged.push({ low: range.low, high: range.high })
  }
  return Uint32Array.from(merged.flatMap((range) => [...range.low, ...range.high]))
}

/**
 * Compiles CIDRs once, at load, so that a bad one is an error of the file with its line and column.
 * Asking costs a binary search. An address without a prefix length means that one address.
 * @throws CidrInvalid
 */
export function cidrs(...texts: readonly (string | readonly string[])[]): CidrSet {
  return new Ranges(texts.flat())
}

/** 1,000 different argument lists: `within("10.0.0.0/8")` is written in source, so more than that means they are computed. */
const CACHED_SETS = 1000
const cache = new Map<string, CidrSet>()

/** The set for strings given inline: compiled on first use and cached by content, bounded. */
export function inlineCidrs(texts: readonly string[]): CidrSet {
  // No text holds a line break, so that no list is taken for another.
  const key = texts.length === 1 ? texts[0]! : `\n${texts.join("\n")}`
  let set = cache.get(key)
  if (set === undefined) {
    set = cidrs(...texts)
    if (cache.size >= CACHED_SETS) cache.delete(cache.keys().next().value!)
    cache.set(key, set)
  }
  return set
}

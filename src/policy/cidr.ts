// Sets of address ranges, made of texts and compiled once.
import { TableBuilder, type AddressTable } from "./address-table.ts"
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

/** The addresses that share their first bits with this one. */
export interface Prefix {
  readonly ip: Ip
  readonly bits: number
}

class CompiledCidrs implements CidrSet {
  readonly cidrs: readonly string[]
  private readonly table: AddressTable

  constructor(texts: readonly string[]) {
    const builder = new TableBuilder()
    for (const text of texts) {
      const { bits, ip } = parseCidr(text)
      builder.add(ip, bits)
    }
    this.cidrs = texts
    this.table = builder.table()
  }

  contains(ip: Ip): boolean {
    return this.table.contains(ip)
  }
}

/**
 * Reads `address/bits`, or an address alone (all bits). Host bits may be set and are ignored, as in nginx and HAProxy.
 * @throws CidrInvalid
 */
export function parseCidr(text: string): Prefix {
  const slash = typeof text === "string" ? text.indexOf("/") : -1
  const ip = typeof text === "string" ? parseIp(slash < 0 ? text : text.slice(0, slash)) : undefined
  if (ip === undefined) throw notACidr(text)
  const width = ip.family === "IPv4" ? 32 : 128
  if (slash < 0) return { ip, bits: width }
  // A mapped address (::ffff:10.0.0.0/104) has become IPv4 already; its prefix counts from 96.
  const mapped = width === 32 && text.lastIndexOf(":", slash) >= 0
  const bits = prefixLength(text, slash + 1) - (mapped ? 96 : 0)
  if (bits >= 0 && bits <= width) return { ip, bits }
  if (text.includes("/", slash + 1)) throw notACidr(text)
  throw new CidrInvalid(
    `${describe(text)} is not a CIDR: the prefix length of an ${ip.family} address is ${mapped ? "96 to 128" : `0 to ${width}`}`,
  )
}

function notACidr(text: string): CidrInvalid {
  return new CidrInvalid(
    `${describe(text)} is not a CIDR: expected an address and a prefix length, like "10.0.0.0/8" or "2001:db8::/32"`,
  )
}

/** Decimal digits without leading zeros, to the end of the text; -1 for anything else. */
function prefixLength(text: string, from: number): number {
  const digits = text.length - from
  if (digits < 1 || digits > 3 || (digits > 1 && text.charCodeAt(from) === 48)) return -1
  let length = 0
  for (let i = from; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 48
    if (digit < 0 || digit > 9) return -1
    length = length * 10 + digit
  }
  return length
}

/**
 * Compiles CIDRs once, at load, so that a bad one is an error of the file with its line and column.
 * Asking costs a binary search. An address without a prefix length means that one address.
 * @throws CidrInvalid
 */
export function cidrs(...texts: readonly (string | readonly string[])[]): CidrSet {
  return new CompiledCidrs(texts.flat())
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

import { describe, expect, test } from "bun:test"
import { TableBuilder, type AddressTable } from "../../src/policy/address-table.ts"
import { formatIp, ipv4, ipv6, type Ip } from "../../src/policy/address.ts"
import { parseCidr } from "../../src/policy/cidr.ts"
import { random, type Random } from "../helper/random.ts"

interface Prefix {
  readonly ip: Ip
  readonly bits: number
}

function tableOf(prefixes: Iterable<Prefix>): AddressTable {
  const builder = new TableBuilder()
  for (const { bits, ip } of prefixes) builder.add(ip, bits)
  return builder.table()
}

const number = (ip: Ip): bigint =>
  ip.family === "IPv4" ? BigInt(ip.a) : [ip.a, ip.b, ip.c, ip.d].reduce((sum, word) => (sum << 32n) | BigInt(word), 0n)

/** The first and the last address of a prefix, by arithmetic of another kind than the table's. */
function ends({ bits, ip }: Prefix): readonly [bigint, bigint] {
  const rest = BigInt((ip.family === "IPv4" ? 32 : 128) - bits)
  const low = (number(ip) >> rest) << rest
  return [low, low + (1n << rest) - 1n]
}

const v4 = (value: bigint): Ip => ipv4(Number(BigInt.asUintN(32, value)))
function v6(value: bigint): Ip {
  const word = (shift: bigint) => Number((value >> shift) & 0xffffffffn)
  return { family: "IPv6", a: word(96n), b: word(64n), c: word(32n), d: word(0n) }
}

/** A family, and how its addresses are drawn: close together, so that prefixes nest and touch. */
const FAMILIES = {
  IPv4: { width: 32, from: v4, draw: ({ below }: Random) => ipv4(0x0a000000 + below(1 << below(25))) },
  IPv6: {
    width: 128,
    from: v6,
    draw: ({ below }: Random) =>
      ipv6(0x20010db8, below(2) * below(2 ** 32), below(2) * below(2 ** 32), below(1 << below(20))),
  },
} as const

describe.each(["IPv4", "IPv6"] as const)("a table of %s", (family) => {
  const { draw, from, width } = FAMILIES[family]

  test("answers as looking at each prefix does, at random addresses and on both sides of every end", () => {
    const source = random(width)
    const { below } = source
    for (let round = 0; round < 60; round++) {
      const prefixes = Array.from({ length: below(40) }, () => ({ ip: draw(source), bits: below(width + 1) }))
      // Prefixes of few bits hide everything else, so most rounds are without them.
      const used = below(4) === 0 ? prefixes : prefixes.filter(({ bits }) => bits >= width / 4)
      const table = tableOf(used)
      const ranges = used.map(ends)
      const probes = ranges.flatMap(([low, high]) => [low, high, low - 1n, high + 1n])
      const limit = 1n << BigInt(width)
      for (const probe of [...probes, ...Array.from({ length: 50 }, () => number(draw(source)))]) {
        if (probe < 0n || probe >= limit) continue
        const expected = ranges.some(([low, high]) => probe >= low && probe <= high)
        expect([formatIp(from(probe)), table.contains(from(probe))]).toEqual([formatIp(from(probe)), expected])
      }
    }
  })

  test("is made of prefixes that are apart and hold the same addresses", () => {
    const source = random(width + 1)
    for (let round = 0; round < 60; round++) {
      const prefixes = Array.from({ length: source.below(40) }, () => ({
        ip: draw(source),
        bits: width / 4 + source.below((width * 3) / 4 + 1),
      }))
      const table = tableOf(prefixes)
      const texts = table.cidrs()
      const parsed = texts.map(parseCidr)
      const ranges = parsed.map(ends)
      for (const [i, [low]] of ranges.entries()) if (i > 0) expect(low > ranges[i - 1]![1]).toBe(true)
      const again = tableOf(parsed)
      expect(again.cidrs()).toEqual(texts)
      for (const prefix of prefixes) expect(again.contains(prefix.ip)).toBe(true)
    }
  })

  test("the order in which prefixes come does not matter, nor that some come twice", () => {
    const source = random(width + 2)
    const prefixes = Array.from({ length: 500 }, () => ({ ip: draw(source), bits: width - source.below(12) }))
    const shuffled = [...prefixes, ...prefixes.slice(0, 100)].sort(() => source.below(3) - 1)
    expect(tableOf(shuffled).cidrs()).toEqual(tableOf(prefixes).cidrs())
  })

  test("many prefixes are built in steps, and the table is the same", () => {
    const source = random(width + 3)
    const builder = new TableBuilder()
    const prefixes = Array.from({ length: 100_000 }, () => ({ ip: draw(source), bits: width - source.below(3) }))
    for (const { bits, ip } of prefixes) builder.add(ip, bits)
    expect(builder.size).toBe(100_000)
    const steps = builder.steps()
    let count = 0
    let step = steps.next()
    for (; step.done !== true; step = steps.next()) count++
    expect(count).toBeGreaterThan(9)
    const table = step.value
    const sorted = prefixes.map(ends).sort(([a], [b]) => (a < b ? -1 : 1))
    for (const { ip } of prefixes) expect(table.contains(ip)).toBe(true)
    // The gaps between ranges that follow each other.
    let reached = -1n
    for (const [low, high] of sorted) {
      if (low > reached + 1n) expect(table.contains(from(low - 1n))).toBe(false)
      if (high > reached) reached = high
    }
  })

  test("everything, nothing, and single addresses at both ends", () => {
    const last = (1n << BigInt(width)) - 1n
    const all = tableOf([{ ip: from(last), bits: 0 }])
    const none = tableOf([])
    const edges = tableOf([
      { ip: from(0n), bits: width },
      { ip: from(last), bits: width },
    ])
    for (const at of [0n, 1n, last / 2n, last - 1n, last]) {
      expect(all.contains(from(at))).toBe(true)
      expect(none.contains(from(at))).toBe(false)
      expect(edges.contains(from(at))).toBe(at === 0n || at === last)
    }
    expect(all.cidrs()).toEqual([family === "IPv4" ? "0.0.0.0/0" : "::/0"])
  })
})

test("families are apart", () => {
  const table = tableOf([
    { ip: ipv4(0), bits: 0 },
    { ip: ipv6(0x20010db8, 0, 0, 0), bits: 32 },
  ])
  expect(table.contains(ipv4(1))).toBe(true)
  expect(table.contains(ipv6(0, 0, 0, 1))).toBe(false)
  expect(table.contains(ipv6(0x20010db8, 1, 0, 0))).toBe(true)
  expect(table.cidrs()).toEqual(["0.0.0.0/0", "2001:db8::/32"])
})

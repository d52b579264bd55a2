import { describe, expect, test } from "bun:test"
import { hashAddress, hashText } from "../../src/upstream/hash.ts"
import { random } from "../helper/random.ts"
import { chiSquare } from "./balance/members.ts"

const COUNT = 100_000
const BUCKETS = 256

const KEYS: Readonly<Record<string, (i: number) => number>> = {
  "neighbouring IPv4 addresses": (i) => hashAddress({ a: 0x0a000000 + i, b: 0, c: 0, d: 0 }),
  "one IPv4 address of each network": (i) => hashAddress({ a: (i << 12) >>> 0, b: 0, c: 0, d: 0 }),
  "IPv6 networks": (i) => hashAddress({ a: 0x20010db8, b: i, c: 0, d: 0 }),
  "neighbouring IPv6 addresses": (i) => hashAddress({ a: 0x20010db8, b: 0, c: 0, d: i }),
  "server names": (i) => hashText(`tenant-${i}.example.com`),
  "numbers as text": (i) => hashText(String(i)),
  "texts of other alphabets": (i) => hashText(String.fromCharCode(0x4e00 + (i >> 8), 0x3040 + (i & 255))),
  "texts with a seed": (i) => hashText(`tcp://db-${i}:5432`, 7),
}

describe.each(Object.entries(KEYS))("hashes of %s", (_, hash) => {
  const hashes = Array.from({ length: COUNT }, (_, i) => hash(i))

  test("are 32 bits without a sign", () => {
    expect(hashes.every((each) => Number.isInteger(each) && each >= 0 && each < 2 ** 32)).toBe(true)
  })

  test.each([0, 8, 16, 24])("are spread evenly in the eight bits from %p on", (shift) => {
    const buckets = Array.from({ length: BUCKETS }, () => 0)
    for (const each of hashes) buckets[(each >>> shift) & 255]!++
    expect(
      chiSquare(
        buckets,
        buckets.map(() => COUNT / BUCKETS),
      ),
    ).toBeLessThan(1)
  })

  test("are rarely equal: as often as chance has it", () => {
    // Of 100,000 numbers of 32 bits, 1.2 pairs are equal on average; 8 are once in 40,000 times.
    expect(COUNT - new Set(hashes).size).toBeLessThan(8)
  })
})

test("one bit of the key changes half of the bits of the hash", () => {
  const { below } = random(1)
  const changes = Array.from({ length: 32 }, (_, bit) => {
    let changed = 0
    for (let i = 0; i < 500; i++) {
      const words = { a: below(2 ** 32), b: below(2 ** 32), c: below(2 ** 32), d: below(2 ** 32) }
      changed += bits(hashAddress(words) ^ hashAddress({ ...words, c: (words.c ^ (1 << bit)) >>> 0 }))
    }
    return changed / 500
  })
  for (const change of changes) expect(Math.abs(change - 16)).toBeLessThan(1)
})

test("signs do not matter in address words", () => {
  expect(hashAddress({ a: -1, b: 0, c: 0, d: -2 })).toBe(hashAddress({ a: 2 ** 32 - 1, b: 0, c: 0, d: 2 ** 32 - 2 }))
})

test("several gateways and every restart agree on the hash of a key", () => {
  expect([hashText(""), hashText("a"), hashText("db.example.com"), hashText("db.example.com", 1)]).toEqual([
    0, 721651713, 550294107, 3812688316,
  ])
  expect([hashAddress({ a: 0x7f000001, b: 0, c: 0, d: 0 }), hashAddress({ a: 0x20010db8, b: 0, c: 0, d: 1 })]).toEqual([
    2943251613, 3571223461,
  ])
})

function bits(word: number): number {
  return word
    .toString(2)
    .split("")
    .filter((each) => each === "1").length
}

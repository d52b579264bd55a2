import { describe, expect, test } from "bun:test"
import { maglev, SLOTS, type Weighted } from "../../../src/upstream/balance/maglev.ts"
import { byWeight, worstError } from "./members.ts"

function weighted(weights: readonly number[]): Weighted[] {
  return weights
    .map((weight, i) => ({ id: `tcp://10.0.${i >> 8}.${i & 255}:5432`, weight }))
    .sort((a, b) => (a.id < b.id ? -1 : 1))
}

function shares(table: Uint16Array, count: number): number[] {
  const found = Array.from({ length: count }, () => 0)
  for (const place of table) found[place]!++
  return found
}

describe("the table", () => {
  test("has a prime number of slots", () => {
    for (let divisor = 2; divisor * divisor <= SLOTS; divisor++) expect(SLOTS % divisor).not.toBe(0)
  })

  test.each([1, 2, 3, 10, 100, 655])("gives %p members of equal weight the same number of slots, or one more", (n) => {
    const found = shares(maglev(weighted(Array.from({ length: n }, () => 1))), n)
    const least = Math.floor(SLOTS / n)
    for (const count of found) expect([least, least + 1]).toContain(count)
  })

  test.each([3, 10, 100])("gives %p members slots by their weights within 1 %", (n) => {
    const members = weighted(Array.from({ length: n }, (_, i) => 2 + (i % 7)))
    const expected = byWeight(
      members.map(({ weight }) => weight),
      SLOTS,
    )
    expect(worstError(shares(maglev(members), n), expected)).toBeLessThan(0.01)
  })

  test("has a slot even for the lightest member", () => {
    expect(Math.min(...shares(maglev(weighted([1, 1_000_000, 0.001])), 3))).toBe(1)
  })

  test("takes more members than it has slots, and leaves some without", () => {
    const members = weighted(Array.from({ length: 70_000 }, () => 1))
    const found = shares(maglev(members), members.length)
    expect(Math.max(...found)).toBe(2)
  })

  test("is the same in every process", () => {
    const table = maglev(weighted([1, 2, 3]))
    expect(Bun.hash.crc32(new Uint8Array(table.buffer))).toBe(3270230123)
  })
})

import { describe, expect, test } from "bun:test"
import { RandomTwo } from "../../../src/upstream/balance/random-two.ts"
import { random } from "../../helper/random.ts"
import { byWeight, chiSquare, counts, equalMembers, membersOf, over, request } from "./members.ts"

const PICKS = 50_000

/** Draws from the same numbers in every run. */
function seeded(seed: number): RandomTwo {
  const { below } = random(seed)
  return new RandomTwo(() => below(2 ** 32) / 2 ** 32)
}

describe("members that are equally busy", () => {
  test.each([1, 2, 3])("are picked by their weights, within what chance allows (seed %p)", (seed) => {
    const weights = [1, 2, 3, 5, 8, 13, 21]
    const members = membersOf(weights)
    const found = counts(over(seeded(seed), members), members, PICKS)
    expect(chiSquare(found, byWeight(weights, PICKS))).toBeLessThan(1)
  })

  test("are picked by what a slow start leaves of their weights", () => {
    const members = membersOf([10, 10, 10])
    members[0]!.risenAt = 1000
    const found = counts(over(seeded(4), members), members, PICKS, () => request({ now: 500 }))
    expect(chiSquare(found, byWeight([5, 10, 10], PICKS))).toBeLessThan(1)
  })

  test("are picked by their weights when hardly any of them has room", () => {
    const weights = Array.from({ length: 200 }, (_, i) => 1 + (i % 5))
    const members = membersOf(weights)
    for (const member of members.slice(4)) member.maxConnections = 0
    const found = counts(over(seeded(5), members), members, PICKS)
    expect(found.slice(4).every((count) => count === 0)).toBe(true)
    expect(chiSquare(found.slice(0, 4), byWeight([1, 2, 3, 4], PICKS))).toBeLessThan(1)
  })

  test("without a seed are picked by chance as well", () => {
    const members = equalMembers(2)
    const found = counts(over(new RandomTwo(), members), members, 1000)
    expect(Math.min(...found)).toBeGreaterThan(0)
  })
})

describe("of two", () => {
  test("the less busy one is always picked, however heavy the other is", () => {
    const members = membersOf([1, 1_000_000])
    members[1]!.active = 1_000_001
    expect(counts(over(seeded(6), members), members, 1000)).toEqual([1000, 0])
  })

  test("it is connections for the weight that count", () => {
    const members = membersOf([1, 4])
    members[0]!.active = 2
    members[1]!.active = 7
    expect(counts(over(seeded(7), members), members, 1000)).toEqual([0, 1000])
  })
})

test("the busiest of ten is never picked, the next one once in 45 times", () => {
  const members = equalMembers(10)
  for (const [i, member] of members.entries()) member.active = i
  const found = counts(over(seeded(8), members), members, PICKS)
  expect(found[9]).toBe(0)
  // Of the 45 pairs, those in which it is the less busy one.
  const pairs = [9, 8, 7, 6, 5, 4, 3, 2, 1]
  expect(chiSquare(found.slice(0, 9), byWeight(pairs, PICKS))).toBeLessThan(1)
})

test("100,000 connections that stay end up within 1 % of even", () => {
  const members = equalMembers(20)
  const balancer = over(seeded(9), members)
  for (let i = 0; i < 100_000; i++) balancer.pick(request())!.active++
  for (const { active } of members) expect(Math.abs(active - 5000)).toBeLessThan(50)
})

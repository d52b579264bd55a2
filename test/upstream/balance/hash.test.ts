import { describe, expect, test } from "bun:test"
import { Hash } from "../../../src/upstream/balance/hash.ts"
import { SLOTS } from "../../../src/upstream/balance/maglev.ts"
import { hashText } from "../../../src/upstream/hash.ts"
import type { Member } from "../../../src/upstream/member.ts"
import { byWeight, chiSquare, counts, equalMembers, membersOf, over, request, worstError } from "./members.ts"

const KEYS = 100_000

/** Keys as they come: of addresses. */
const keys = Array.from({ length: KEYS }, (_, i) => hashText(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`))

/** Two for each slot. */
const EVENLY = 2 * SLOTS
const evenly = (nth: number) => request({ hash: Math.floor(((nth + 0.5) / EVENLY) * 2 ** 32) })

function homes(balancer: Hash, about: { readonly now?: number; readonly tried?: readonly Member[] } = {}): Member[] {
  return keys.map((hash) => balancer.pick(request({ hash, ...about }))!)
}

/** The share of the keys whose home is another one. */
function moved(before: readonly Member[], after: readonly Member[]): number {
  return before.filter((member, i) => member !== after[i]).length / KEYS
}

const share = (member: Member, members: readonly Member[]) =>
  member.weight / members.reduce((sum, { weight }) => sum + weight, 0)

describe("keys", () => {
  test("go to the same member each time, whatever the order in which members are given", () => {
    const members = membersOf(Array.from({ length: 10 }, (_, i) => 1 + i))
    const first = homes(over(new Hash(), members))
    const again = homes(over(new Hash(), members.toReversed()))
    expect(moved(first, again)).toBe(0)
  })

  test.each([3, 10, 100])(
    "that are spread evenly over all numbers follow the weights of %p members within 1 %",
    (n) => {
      const weights = Array.from({ length: n }, (_, i) => 2 + (i % 5))
      const members = membersOf(weights)
      const found = counts(over(new Hash(), members), members, EVENLY, evenly)
      expect(worstError(found, byWeight(weights, EVENLY))).toBeLessThan(0.01)
    },
  )

  test.each([3, 10, 100])("of addresses follow the weights of %p members within what chance allows", (n) => {
    const weights = Array.from({ length: n }, (_, i) => 2 + (i % 5))
    const members = membersOf(weights)
    const found = counts(over(new Hash(), members), members, KEYS, (nth) => request({ hash: keys[nth]! }))
    expect(chiSquare(found, byWeight(weights, KEYS))).toBeLessThan(1)
  })

  test("may be given with a sign", () => {
    const balancer = over(new Hash(), equalMembers(10))
    expect(balancer.pick(request({ hash: -1 }))).toBe(balancer.pick(request({ hash: 2 ** 32 - 1 }))!)
  })
})

describe.each([
  ["equal", () => 1],
  ["different", (i: number) => 1 + ((i * 7) % 10)],
  ["very different", (i: number) => (i === 0 ? 20 : 1)],
])("with %s weights", (_, weightOf: (i: number) => number) => {
  test.each([3, 10, 100])("when one of %p members goes, its keys move and hardly any others", (n) => {
    const members = membersOf(Array.from({ length: n }, (_, i) => weightOf(i)))
    const before = homes(over(new Hash(), members))
    for (const gone of members.slice(0, 10)) {
      const rest = members.filter((member) => member !== gone)
      const part = moved(before, homes(over(new Hash(), rest)))
      expect(part).toBeLessThanOrEqual(share(gone, members) + 0.02)
    }
  })

  test.each([3, 10, 100])("when one comes to %p members, it takes its keys and hardly any others move", (n) => {
    const members = membersOf(Array.from({ length: n + 1 }, (_, i) => weightOf(i)))
    const after = homes(over(new Hash(), members))
    for (const added of members.slice(-5)) {
      const part = moved(
        homes(
          over(
            new Hash(),
            members.filter((member) => member !== added),
          ),
        ),
        after,
      )
      expect(part).toBeLessThanOrEqual(share(added, members) + 0.02)
    }
  })
})

test("when 1 of 10 targets goes, at most 12 % of 100,000 keys move", () => {
  const members = equalMembers(10)
  const before = homes(over(new Hash(), members))
  const parts = members.map((gone) =>
    moved(
      before,
      homes(
        over(
          new Hash(),
          members.filter((each) => each !== gone),
        ),
      ),
    ),
  )
  expect(Math.max(...parts)).toBeLessThanOrEqual(0.12)
})

describe("a member that cannot be used for a while", () => {
  const members = membersOf([1, 2, 3, 4, 5, 1, 2, 3, 4, 5])
  const [, , , , out] = members
  const rest = members.filter((member) => member !== out)

  test("loses its keys alone, and has all of them again when it is back, without a new table", () => {
    const balancer = over(new Hash(), members)
    const before = homes(balancer)
    const table = balancer["table"]
    balancer.update(rest, members)
    const meanwhile = homes(balancer)
    expect(before.every((home, i) => home === out || home === meanwhile[i])).toBe(true)
    expect(meanwhile).not.toContain(out!)
    balancer.update(members, members)
    expect(moved(before, homes(balancer))).toBe(0)
    expect(balancer["table"]).toBe(table)
  })

  test("leaves its keys to the others by their weights", () => {
    const balancer = over(new Hash(), members)
    const before = homes(balancer)
    balancer.update(rest, members)
    const heirs = homes(balancer).filter((_, i) => before[i] === out)
    const found = rest.map((member) => heirs.filter((heir) => heir === member).length)
    const expected = byWeight(
      rest.map(({ weight }) => weight),
      heirs.length,
    )
    expect(chiSquare(found, expected)).toBeLessThan(1)
  })

  test("is one that is full, or that was tried: each has the same second choice", () => {
    const balancer = over(new Hash(), members)
    const tried = homes(balancer, { tried: [out!] })
    out!.maxConnections = 0
    const full = homes(balancer)
    out!.maxConnections = 1_000_000
    balancer.update(rest, members)
    const unusable = homes(balancer)
    expect([moved(tried, full), moved(tried, unusable)]).toEqual([0, 0])
  })

  test("may be nearly everybody: keys still spread by the weights, and the next one to go loses its own alone", () => {
    const all = membersOf(Array.from({ length: 300 }, (_, i) => 1 + (i % 3)))
    const balancer = over(new Hash(), all)
    const few = all.slice(0, 3)
    balancer.update(few, all)
    const before = homes(balancer)
    const found = few.map((member) => before.filter((home) => home === member).length)
    expect(chiSquare(found, byWeight([1, 2, 3], KEYS))).toBeLessThan(1)
    balancer.update(few.slice(1), all)
    const after = homes(balancer)
    expect(before.every((home, i) => home === few[0] || home === after[i])).toBe(true)
  })
})

test("when a weight changes, the table does, and keys move by as much", () => {
  const members = equalMembers(10)
  const balancer = over(new Hash(), members)
  const before = homes(balancer)
  members[3]!.weight = 2
  balancer.update(members, [...members])
  const after = homes(balancer)
  // Its share grows from 1/10 to 2/11.
  expect(after.filter((home) => home === members[3]).length / KEYS).toBeCloseTo(2 / 11, 2)
  expect(moved(before, after)).toBeLessThan(2 / 11 - 1 / 10 + 0.02)
})

test("a member that rises takes its keys back one by one, and each for good", () => {
  const members = equalMembers(5)
  const [rising, ...others] = members
  rising!.risingFrom = 0
  rising!.risenAt = 1000
  const balancer = over(new Hash(), members)
  const own = homes(balancer).map((_, i) => homeOf(i, 1000) === rising)
  let before = own.map(() => false)
  for (const [now, part] of [
    [0, 0.1],
    [300, 0.3],
    [800, 0.8],
    [1000, 1],
  ] as const) {
    const has = homes(balancer, { now }).map((home) => home === rising)
    expect(has.filter(Boolean).length / own.filter(Boolean).length).toBeCloseTo(part, 1)
    expect(has.every((it, i) => !it || own[i])).toBe(true)
    expect(before.every((it, i) => !it || has[i])).toBe(true)
    before = has
  }
  // Where nobody else can, it takes them all.
  for (const member of others) member.maxConnections = 0
  expect(homes(balancer, { now: 0 }).every((home) => home === rising)).toBe(true)

  function homeOf(i: number, now: number) {
    return balancer.pick(request({ hash: keys[i]!, now }))
  }
})

import { describe, expect, test } from "bun:test"
import { RoundRobin } from "../../../src/upstream/balance/round-robin.ts"
import { random } from "../../helper/random.ts"
import { byWeight, counts, membersOf, names, over, request, worstError } from "./members.ts"

describe("in turn", () => {
  test("the heaviest comes up spread among the others, not in a row", () => {
    expect(names(over(new RoundRobin(), membersOf([5, 1, 1])), 14)).toBe("aabacaa".repeat(2))
  })

  test("equal weights go round in the order as written", () => {
    expect(names(over(new RoundRobin(), membersOf([3, 3, 3])), 7)).toBe("abcabca")
  })

  test.each([1, 2, 3, 4, 5])(
    "over each total of the weights, each comes up as often as its weight (seed %p)",
    (seed) => {
      const { below } = random(seed)
      const weights = Array.from({ length: 2 + below(9) }, () => 1 + below(30))
      const total = weights.reduce((sum, weight) => sum + weight, 0)
      const members = membersOf(weights)
      const balancer = over(new RoundRobin(), members)
      for (let round = 0; round < 5; round++) expect(counts(balancer, members, total)).toEqual(weights)
    },
  )

  test("100,000 picks follow the weights within 1 %", () => {
    const weights = Array.from({ length: 25 }, (_, i) => 1 + i * 3)
    const members = membersOf(weights)
    const found = counts(over(new RoundRobin(), members), members, 100_000)
    expect(worstError(found, byWeight(weights, 100_000))).toBeLessThan(0.01)
  })
})

describe("a member that is skipped", () => {
  test("leaves the others their shares of what it does not take", () => {
    const members = membersOf([4, 3, 2, 1])
    const balancer = over(new RoundRobin(), members)
    names(balancer, 3)
    members[0]!.maxConnections = 0
    // The first round begins amid turns that counted on it.
    expect(worst(counts(balancer, members, 6), [0, 3, 2, 1])).toBeLessThanOrEqual(1)
    for (let round = 0; round < 5; round++) expect(counts(balancer, members, 6)).toEqual([0, 3, 2, 1])
  })

  test("goes on from where it stood when it is back: it makes up for nothing", () => {
    const weights = [4, 3, 2, 1]
    const members = membersOf(weights)
    const balancer = over(new RoundRobin(), members)
    names(balancer, 3)
    const { turn } = members[0]!
    members[0]!.maxConnections = 0
    names(balancer, 600)
    expect(members[0]!.turn).toBe(turn)
    members[0]!.maxConnections = 100
    for (let round = 0; round < 5; round++) expect(worst(counts(balancer, members, 10), weights)).toBeLessThanOrEqual(1)
  })

  test.each([
    { weights: [5, 4, 3, 2, 1] },
    { weights: [1, 4, 3, 2, 1] },
    { weights: [1, 1, 1, 1] },
    { weights: [10, 1, 1, 1] },
  ])("because it fails, leaves its connections to the others about by $weights", ({ weights }) => {
    const members = membersOf(weights)
    const balancer = over(new RoundRobin(), members)
    const [failing, ...others] = members
    const picked = new Map(members.map((member) => [member, 0]))
    for (let i = 0; i < 30_000; i++) {
      const first = balancer.pick(request())!
      picked.set(first, picked.get(first)! + 1)
      if (first !== failing) continue
      const second = balancer.pick(request({ tried: [first] }))!
      picked.set(second, picked.get(second)! + 1)
    }
    // It takes its own part, whoever else is picked.
    expect(Math.abs(picked.get(failing!)! - byWeight(weights, 30_000)[0]!)).toBeLessThan(2)
    const found = others.map((member) => picked.get(member)!)
    // A second pick costs less of a turn than a first one, and always comes at the same point of the round.
    expect(worstError(found, byWeight(weights.slice(1), 30_000))).toBeLessThan(0.12)
  })

  test.each([1, 2, 3])("is never far from its turn, whoever can be used by chance (seed %p)", (seed) => {
    const { below } = random(seed)
    const members = membersOf(Array.from({ length: 10 }, () => 1 + below(20)))
    const total = members.reduce((sum, { weight }) => sum + weight, 0)
    const balancer = over(new RoundRobin(), members)
    let furthest = 0
    for (let i = 0; i < 20_000; i++) {
      balancer.pick(request({ tried: members.filter(() => below(3) === 0) }))
      furthest = Math.max(furthest, ...members.map(({ turn }) => Math.abs(turn)))
    }
    expect(furthest).toBeLessThan(total)
  })
})

describe("when weights change", () => {
  test("a debt or a claim from before is worth no more than one total", () => {
    const members = membersOf([1_000_000, 999_999])
    const balancer = over(new RoundRobin(), members)
    names(balancer, 3)
    for (const member of members) member.weight = 1
    balancer.update(members, [...members])
    expect(worst(counts(balancer, members, 10), [5, 5])).toBeLessThanOrEqual(1)
  })

  test("a member that is out for now keeps its turn", () => {
    const members = membersOf([2, 1, 1])
    const balancer = over(new RoundRobin(), members)
    names(balancer, 1)
    const { turn } = members[0]!
    balancer.update(members.slice(1), members)
    names(balancer, 7)
    balancer.update(members, [...members])
    expect(members[0]!.turn).toBe(turn)
  })

  test("while a member rises, it has as much of its share as of its weight", () => {
    const members = membersOf([10, 10])
    const [rising] = members
    rising!.risingFrom = 0
    rising!.risenAt = 1000
    const balancer = over(new RoundRobin(), members)
    const at = (now: number) => counts(balancer, members, 1100, () => request({ now }))
    expect([at(0)[0], at(100)[0], at(500)[0], at(1000)[0]].map((picks) => Math.round(picks!))).toEqual([
      100, 100, 367, 550,
    ])
  })
})

function worst(found: readonly number[], expected: readonly number[]): number {
  return Math.max(...found.map((count, i) => Math.abs(count - expected[i]!)))
}

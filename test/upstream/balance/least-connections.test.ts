import { describe, expect, test } from "bun:test"
import { LeastConnections } from "../../../src/upstream/balance/least-connections.ts"
import { random } from "../../helper/random.ts"
import { byWeight, counts, equalMembers, membersOf, names, over, request, worstError } from "./members.ts"

test("the member with the fewest connections for its weight is picked", () => {
  const members = membersOf([1, 1, 4])
  const balancer = over(new LeastConnections(), members)
  const pick = (...active: number[]) => {
    for (const [i, member] of members.entries()) member.active = active[i]!
    return balancer.pick(request())!.id
  }
  expect([pick(3, 2, 12), pick(2, 3, 7), pick(1, 2, 8), pick(1, 0, 1)]).toEqual(["b", "c", "a", "b"])
})

describe("members that are equally busy", () => {
  test("take turns, also when nobody has a connection", () => {
    const members = equalMembers(4)
    const balancer = over(new LeastConnections(), members)
    expect(names(balancer, 8)).toBe("abcdabcd")
    for (const member of members) member.active = 7
    expect(names(balancer, 8)).toBe("abcdabcd")
  })

  test("take turns by their weights: 100,000 picks of idle members follow them within 1 %", () => {
    const weights = [1, 2, 3, 5, 8, 13, 21]
    const members = membersOf(weights)
    const found = counts(over(new LeastConnections(), members), members, 100_000)
    expect(worstError(found, byWeight(weights, 100_000))).toBeLessThan(0.01)
  })

  test("are told apart from those that are busier", () => {
    const members = equalMembers(4)
    const balancer = over(new LeastConnections(), members)
    members[1]!.active = 1
    expect(names(balancer, 6)).toBe("acdacd")
  })
})

test("100,000 connections that stay end up by the weights within 1 %", () => {
  const weights = [1, 2, 3, 5, 8, 13, 21]
  const members = membersOf(weights)
  const balancer = over(new LeastConnections(), members)
  for (let i = 0; i < 100_000; i++) balancer.pick(request())!.active++
  expect(
    worstError(
      members.map(({ active }) => active),
      byWeight(weights, 100_000),
    ),
  ).toBeLessThan(0.01)
})

test.each([1, 2, 3])("connections that come and go leave equal members no further apart than one (seed %p)", (seed) => {
  const { below } = random(seed)
  const members = equalMembers(8)
  const balancer = over(new LeastConnections(), members)
  for (let i = 0; i < 5000; i++) {
    // Whoever has the most loses one, so that the distance is due to the picks alone.
    if (below(2) === 0) {
      const busiest = members.reduce((most, member) => (member.active > most.active ? member : most))
      if (busiest.active > 0) busiest.active--
    } else balancer.pick(request())!.active++
    const active = members.map((member) => member.active)
    expect(Math.max(...active) - Math.min(...active)).toBeLessThanOrEqual(1)
  }
})

test("a member that rises is given as many connections as of its weight", () => {
  const members = membersOf([10, 10])
  members[0]!.risenAt = 1000
  const balancer = over(new LeastConnections(), members)
  for (let i = 0; i < 300; i++) balancer.pick(request({ now: 500 }))!.active++
  expect(members.map(({ active }) => active)).toEqual([100, 200])
})

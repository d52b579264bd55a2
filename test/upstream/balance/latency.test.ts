import { describe, expect, test } from "bun:test"
import { FAILED, forget, Latency, measured } from "../../../src/upstream/balance/latency.ts"
import type { Member } from "../../../src/upstream/member.ts"
import { byWeight, equalMembers, membersOf, over, request, worstError } from "./members.ts"

const SECOND = 1000

/** Members that were measured as this slow a moment ago. */
function measuredAs(milliseconds: readonly number[], now = 1000): Member[] {
  const members = equalMembers(milliseconds.length)
  for (const [i, ms] of milliseconds.entries()) measured(members[i]!, ms, now)
  return members
}

/** Connections one after the other, ten a second, each measured: when the slow one was picked, in seconds. */
function triedAt(slow: number, slowAgain: number, seconds: number): number[] {
  const members = measuredAs([1, slow])
  const balancer = over(new Latency(), members)
  const found: number[] = []
  for (let now = 1000; now < 1000 + seconds * SECOND; now += 100) {
    const member = balancer.pick(request({ now }))!
    if (member === members[1]) found.push(Math.round((now - 1000) / SECOND))
    measured(member, member === members[0] ? 1 : slowAgain, now)
  }
  return found
}

describe("what is measured", () => {
  test("is believed at once when it is slower than before", () => {
    const [member] = measuredAs([10])
    measured(member!, 200, 1001)
    expect([member!.latency, member!.measuredAt]).toEqual([200, 1001])
  })

  test("is followed over ten seconds when it is quicker", () => {
    const [member] = measuredAs([100])
    measured(member!, 20, 1000 + 10 * SECOND)
    expect(member!.latency).toBeCloseTo(20 + 80 / Math.E, 5)
  })

  test("follows as fast, however often it is measured", () => {
    const [member] = measuredAs([100])
    for (let now = 1000; now <= 11_000; now += 10) measured(member!, 20, now)
    expect(member!.latency).toBeCloseTo(20 + 80 / Math.E, 0)
  })

  test("is never nothing", () => {
    const [member] = measuredAs([0])
    expect(member!.latency).toBe(0.1)
  })
})

describe("a pick", () => {
  test("goes where connecting is quickest", () => {
    const balancer = over(new Latency(), measuredAs([5, 2, 3]))
    expect(balancer.pick(request())!.id).toBe("b")
  })

  test("counts what is there already: connections end up by speed and weight", () => {
    const members = membersOf([1, 1, 2])
    for (const [i, ms] of [1, 4, 2].entries()) measured(members[i]!, ms, 1000)
    const balancer = over(new Latency(), members)
    for (let i = 0; i < 90_000; i++) balancer.pick(request())!.active++
    const found = members.map(({ active }) => active)
    expect(worstError(found, byWeight([4, 1, 4], 90_000))).toBeLessThan(0.01)
  })

  test("tries what was never measured first, each with one connection until it is known", () => {
    const members = [...measuredAs([1]), ...membersOf([1, 1, 1]).slice(1)]
    const balancer = over(new Latency(), members)
    const picked = Array.from({ length: 5 }, () => {
      const member = balancer.pick(request())!
      member.active++
      return member.id
    })
    expect(picked.join("")).toBe("bcaaa")
  })

  test("spreads over all when none is known and all are being tried", () => {
    const members = equalMembers(3)
    const balancer = over(new Latency(), members)
    for (let i = 0; i < 30; i++) balancer.pick(request())!.active++
    expect(members.map(({ active }) => active)).toEqual([10, 10, 10])
  })

  test("leaves a target alone that refuses at once", () => {
    const members = measuredAs([5, 5])
    const balancer = over(new Latency(), members)
    measured(members[0]!, FAILED, 1000)
    for (let i = 0; i < 100; i++) {
      const member = balancer.pick(request({ now: 1000 + i }))!
      expect(member.id).toBe("b")
      measured(member, 5, 1000 + i)
    }
  })
})

test("a target that came back is tried first, with one connection until it is known", () => {
  const members = measuredAs([5, FAILED])
  const balancer = over(new Latency(), members)
  forget(members[1]!)
  const picked = Array.from({ length: 3 }, () => {
    const member = balancer.pick(request())!
    member.active++
    return member.id
  })
  expect(picked.join("")).toBe("baa")
})

describe("a slow target", () => {
  test("is tried again when its measurement has faded, and left again when it is still slow", () => {
    expect(triedAt(100, 100, 150)).toEqual([47, 93, 140])
    expect(triedAt(1000, 1000, 150)).toEqual([69, 138])
  })

  test("is a target like others as soon as it is quick", () => {
    expect(triedAt(100, 0.5, 120).length).toBeGreaterThan(500)
  })

  test("is tried with one connection at a time", () => {
    const members = measuredAs([1, 100])
    const balancer = over(new Latency(), members)
    measured(members[0]!, 1, 61_000)
    const picked = Array.from({ length: 50 }, () => {
      const member = balancer.pick(request({ now: 61_000 }))!
      member.active++
      return member.id
    })
    expect(picked.join("")).toBe(`b${"a".repeat(49)}`)
  })

  test("is tried again even when a try was never measured", () => {
    const members = measuredAs([1, 100])
    const balancer = over(new Latency(), members)
    const tries: number[] = []
    for (let now = 1000; now < 150_000; now += 100) {
      const member = balancer.pick(request({ now }))!
      if (member === members[0]) measured(member, 1, now)
      else tries.push(Math.round(now / SECOND))
    }
    expect(tries).toEqual([48, 94, 141])
  })
})

// What holds for every algorithm, whatever happens to its members.
import { describe, expect, test } from "bun:test"
import type { Balance } from "../../../src/policy/pool.ts"
import { balancerFor } from "../../../src/upstream/balance/index.ts"
import { measured } from "../../../src/upstream/balance/latency.ts"
import { random } from "../../helper/random.ts"
import { equalMembers, membersOf, over, request } from "./members.ts"

const ALL: { readonly [Name in Balance]: true } = {
  "round-robin": true,
  "least-connections": true,
  "random-two": true,
  hash: true,
  first: true,
  latency: true,
}

describe.each(Object.keys(ALL) as Balance[])("%s", (balance) => {
  test.each([1, 2, 3, 4, 5])(
    "a pick can be used, has room and was not tried; there is none only when no member fits (seed %p)",
    (seed) => {
      const { below, pick } = random(seed)
      const balancer = balancerFor(balance)
      for (let round = 0; round < 100; round++) {
        const members = membersOf(Array.from({ length: below(20) }, () => below(4) * (1 + below(50))))
        for (const member of members) {
          member.maxConnections = 1 + below(6)
          member.risingFrom = 0
          member.risenAt = below(3) * 1000
        }
        const usable = members.filter(() => below(4) > 0)
        balancer.update(usable, members)
        for (let i = 0; i < 200; i++) {
          const tried = members.filter(() => below(5) === 0)
          const now = 1000 + round * 100 + i
          const hash = below(2 ** 32)
          const fitting = usable.filter(
            (member) => member.weight > 0 && member.active < member.maxConnections && !tried.includes(member),
          )
          const picked = balancer.pick({ hash, now, tried })
          expect(picked === undefined ? fitting.length === 0 : fitting.includes(picked)).toBe(true)
          if (picked !== undefined) {
            picked.active++
            if (below(2) === 0) measured(picked, below(100), now)
          }
          const busy = members.filter(({ active }) => active > 0)
          if (busy.length > 0 && below(3) > 0) pick(busy).active--
        }
      }
    },
  )

  test("before there are members, nobody is picked", () => {
    expect(balancerFor(balance).pick(request())).toBeUndefined()
    expect(over(balancerFor(balance), []).pick(request())).toBeUndefined()
  })

  test("members of weight 0 are not picked, should there be any", () => {
    const balancer = over(balancerFor(balance), membersOf([0, 0]))
    expect(balancer.pick(request())).toBeUndefined()
  })

  test("a member of another set is forgotten", () => {
    const [old, other] = equalMembers(2)
    const balancer = over(over(balancerFor(balance), [old!]), [other!])
    for (let i = 0; i < 10; i++) expect(balancer.pick(request({ hash: i }))).toBe(other!)
  })

  test("one connection comes past every member, each once", () => {
    const members = membersOf([1, 50, 3, 7, 1, 1, 1, 1, 20, 5])
    const balancer = over(balancerFor(balance), members)
    const tried: (typeof members)[number][] = []
    for (let i = 0; i < members.length; i++) tried.push(balancer.pick(request({ hash: 4711, tried }))!)
    expect(new Set(tried)).toEqual(new Set(members))
    expect(balancer.pick(request({ hash: 4711, tried }))).toBeUndefined()
  })
})

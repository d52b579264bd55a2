import { expect, test } from "bun:test"
import { First } from "../../../src/upstream/balance/first.ts"
import { equalMembers, over, request } from "./members.ts"

test("members are filled one after the other, in the order as written", () => {
  const members = equalMembers(3)
  for (const member of members) member.maxConnections = 2
  const balancer = over(new First(), members)
  const picked = Array.from({ length: 6 }, () => {
    const member = balancer.pick(request())!
    member.active++
    return member.id
  })
  expect(picked.join("")).toBe("aabbcc")
  expect(balancer.pick(request())).toBeUndefined()
  members[0]!.active--
  expect(balancer.pick(request())!.id).toBe("a")
})

test("a member that was tried gives way to the next", () => {
  const members = equalMembers(3)
  const balancer = over(new First(), members)
  expect(balancer.pick(request({ tried: [members[0]!, members[1]!] }))!.id).toBe("c")
})

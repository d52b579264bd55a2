import { expect, test } from "bun:test"
import { Gone } from "../../src/upstream/gone.ts"
import { Member } from "../../src/upstream/member.ts"
import { parseTarget } from "../../src/policy/target.ts"

function member(id: string): Member {
  const target = parseTarget("tcp://10.0.0.1:1")
  return new Member({ id, name: id, target, weight: 1, priority: 0, maxConnections: 1 })
}

test("a member is the same for a minute, once", () => {
  const gone = new Gone()
  const [a, b] = [member("a"), member("b")]
  gone.add(a, 0)
  gone.add(b, 0)
  expect(gone.take("a", 59_999)).toBe(a)
  expect(gone.take("a", 59_999)).toBeUndefined()
  expect(gone.take("b", 60_000)).toBeUndefined()
})

test("one with connections is kept for as long as it has them", () => {
  const gone = new Gone()
  const busy = member("busy")
  busy.active = 1
  gone.add(busy, 0)
  for (let i = 0; i < 10; i++) gone.add(member(`m${i}`), 1_000_000)
  expect(gone.take("busy", 1_000_000)).toBe(busy)
})

test("a thousand without connections are kept at most, those that left last", () => {
  const gone = new Gone()
  for (let i = 0; i < 3000; i++) gone.add(member(`m${i}`), i)
  expect(gone.all()).toHaveLength(1000)
  expect(gone.take("m1999", 3000)).toBeUndefined()
  expect(gone.take("m2000", 3000)).toBeDefined()
})

test("old ones go when others come", () => {
  const gone = new Gone()
  gone.add(member("old"), 0)
  gone.add(member("new"), 60_000)
  expect(gone.all().map(({ id }) => id)).toEqual(["new"])
})

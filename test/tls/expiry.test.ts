// Who is told of a certificate's end, and how often.
import { expect, test } from "bun:test"
import { expiring, type ExpirySaid } from "../../src/tls/expiry.ts"
import { DAY, identity } from "./identities.ts"

const HOUR = DAY / 24

test("from 30 days before there is one line a day, and one when it has expired", () => {
  const end = 100 * DAY
  const list = [identity("a.crt", { until: end })]
  let said: ExpirySaid = new Map()
  const lines: string[] = []
  for (let now = end - 32 * DAY; now < end + 5 * DAY; now += HOUR / 2) {
    const { due, said: next } = expiring(list, said, new Date(now))
    lines.push(...due.map(({ message }) => message))
    said = next
  }
  const at = "(1970-04-11 00:00:00 UTC)"
  const days = Array.from({ length: 28 }, (_, i) => `a.crt expires in ${29 - i} days ${at}`)
  const last = [`a.crt expires in 1 day ${at}`, `a.crt expires within a day ${at}`, `a.crt expired ${at}`]
  expect(lines).toEqual([...days, ...last])
})

test("each file has its own line; what was renewed or removed is forgotten", () => {
  const a = identity("a.crt", { until: 10 * DAY })
  const b = { ...identity("b.crt", { until: 10 * DAY }), id: a.id }
  const first = expiring([a, b, identity("c.crt")], new Map(), new Date(0))
  expect(first.due.map(({ identity, days }) => [identity.file, days])).toEqual([
    ["a.crt", 10],
    ["b.crt", 10],
  ])
  expect(expiring([a, b], first.said, new Date(HOUR)).due.map(({ days }) => days)).toEqual([9, 9])
  const renewed = { ...a, id: "another", notAfter: new Date(5 * DAY) }
  const second = expiring([renewed, b], first.said, new Date(0))
  expect(second.due.map(({ message }) => message)).toEqual(["a.crt expires in 5 days (1970-01-06 00:00:00 UTC)"])
  expect([...expiring([], second.said, new Date(0)).said]).toEqual([])
})

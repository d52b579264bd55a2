import { expect, test } from "bun:test"
import { unfitRoute } from "../../src/policy/check-route.ts"
import { deny, respond, route } from "../../src/policy/decision.ts"

const raw = { hello: false, terminated: false }
const encrypted = { hello: true, terminated: false }
const terminated = { hello: true, terminated: true }
const tls = route("tls://db:5432")

test.each([
  ["a route to tls://", tls],
  ["one of several targets", route(["tcp://db:5432", { url: "tls://db:5432", weight: 0 }])],
  ["behind or()", route("tcp://db:5432").or(tls)],
  ["further behind or()", route("tcp://a:1").or(route("tcp://b:1").or(tls))],
])("%s fits plain text and terminated TLS only", (_, decision) => {
  expect(unfitRoute(decision, raw)).toBeUndefined()
  expect(unfitRoute(decision, terminated)).toBeUndefined()
  expect(unfitRoute(decision, encrypted)).toBe(
    "use tcp:// to pass TLS through, or `await connection.terminate()` first",
  )
})

test("everything else fits", () => {
  for (const decision of [deny(), respond("x"), route(["tcp://db:1", "unix:/run/db"]).or(deny())])
    expect(unfitRoute(decision, encrypted)).toBeUndefined()
})

import assert from "node:assert/strict"
import { beforeEach, test } from "node:test"
import { advanceLimits, connect, resetLimits } from "tidegate/testing"
import * as policy from "./rate-limit.ts"

const actions = async (count: number, from: string) => {
  const found: string[] = []
  for (let i = 0; i < count; i++) found.push((await connect(policy, { from })).decision.action)
  return found.join(" ")
}

// What is counted is counted for the whole process.
beforeEach(resetLimits)

test("5 at once, then one every 6 seconds", async () => {
  assert.equal(await actions(6, "203.0.113.9"), "route route route route route deny")
  advanceLimits("6 seconds")
  assert.equal(await actions(2, "203.0.113.9"), "route deny")
})

test("clients do not count for each other, but a /64 is one client", async () => {
  assert.equal(await actions(5, "2001:db8::1"), "route route route route route")
  assert.equal(await actions(1, "2001:db8::2"), "deny")
  assert.equal(await actions(1, "2001:db8:0:1::1"), "route")
})

test("the office is not limited", async () => {
  assert.equal(await actions(6, "10.1.2.3"), "route route route route route route")
})

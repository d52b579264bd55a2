import assert from "node:assert/strict"
import { beforeEach, test } from "node:test"
import { deny, route } from "tidegate"
import { advanceLimits, connect, resetLimits } from "tidegate/testing"
import * as policy from "./per-client.ts"

const welcome = route("tcp://db.internal:5432")
const slowDown = deny("slow down")

/** Limits count over all connections of the process. */
beforeEach(resetLimits)

/** What so many connections of one client are told. */
async function decisions(from: string, count: number) {
  const found = []
  for (let i = 0; i < count; i++) found.push((await connect(policy, { from })).decision)
  return found
}

test("five connections at once, then one every three seconds", async () => {
  assert.deepEqual(await decisions("203.0.113.9", 6), [welcome, welcome, welcome, welcome, welcome, slowDown])
  advanceLimits("3 seconds")
  assert.deepEqual(await decisions("203.0.113.9", 2), [welcome, slowDown])
})

test("another client is not concerned, another address of the same network is", async () => {
  await decisions("2001:db8::1", 5)
  assert.deepEqual(await decisions("2001:db8::2", 1), [slowDown])
  assert.deepEqual(await decisions("2001:db8:0:1::1", 1), [welcome])
})

test("ten connections are open at one time, and the end of one makes room", async () => {
  const open = []
  for (let i = 0; i < 10; i++) {
    advanceLimits("3 seconds")
    open.push(await connect(policy, { from: "203.0.113.9" }))
  }
  advanceLimits("1 minute")
  assert.deepEqual(await decisions("203.0.113.9", 1), [deny("too many connections")])
  open[0]!.close()
  assert.deepEqual(await decisions("203.0.113.9", 2), [welcome, deny("too many connections")])
})

import assert from "node:assert/strict"
import { test } from "node:test"
import { deny, route } from "tidegate"
import { connect } from "tidegate/testing"
import * as policy from "./behind-a-balancer.ts"

test("it is the balancer's client that counts", async () => {
  const app = route("tcp://app.internal:8080")
  assert.deepEqual((await connect(policy, { from: "203.0.113.9", via: "10.0.0.5" })).decision, app)
  const { decision } = await connect(policy, { from: "198.51.100.7", via: "10.0.0.5" })
  assert.deepEqual(decision, deny("not for 198.51.100.7, through 10.0.0.5"))
})

test("the balancer's own health check is let in", async () => {
  const { decision } = await connect(policy, { via: "10.0.0.5", proxy: { command: "local" } })
  assert.deepEqual(decision, route("tcp://app.internal:8080"))
})

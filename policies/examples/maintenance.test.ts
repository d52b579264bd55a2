import assert from "node:assert/strict"
import { test } from "node:test"
import { bodyText, connect } from "tidegate/testing"
import * as policy from "./maintenance.ts"

test("clients are routed, and get the notice when the database cannot be reached", async () => {
  const { decision } = await connect(policy, { from: "203.0.113.9" })
  assert.equal(decision.action, "route")
  assert.deepEqual(decision.targets, [{ url: "tcp://db.internal:5432" }])
  assert.ok(decision.otherwise)
  assert.equal(await bodyText(decision.otherwise), "Down for maintenance until 14:00 UTC.\n")
})

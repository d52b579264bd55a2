import assert from "node:assert/strict"
import { test } from "node:test"
import { deny } from "tidegate"
import { connect } from "tidegate/testing"
import * as policy from "./failover.ts"

test("everybody goes to the pool, and is told when no server is up", async () => {
  const { decision } = await connect(policy, { from: "10.1.2.3" })
  assert.equal(decision.action, "route")
  assert.equal(decision.pool, "reports")
  assert.deepEqual(decision.otherwise, deny("no server for reports is up", { inBand: "postgres" }))
})

test("the primary is behind the replica", () => {
  const priorities = policy.pools.reports.targets.map(({ name, priority = 0 }) => [name, priority])
  assert.deepEqual(priorities, [
    ["replica", 0],
    ["primary", 1],
  ])
})

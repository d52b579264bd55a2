import assert from "node:assert/strict"
import { test } from "node:test"
import { route } from "tidegate"
import { connect } from "tidegate/testing"
import * as policy from "./pool.ts"

test("everybody goes to the pool", async () => {
  const { decision } = await connect(policy, { from: "203.0.113.9" })
  assert.deepEqual(decision, route("app"))
})

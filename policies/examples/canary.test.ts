import assert from "node:assert/strict"
import { test } from "node:test"
import { connect } from "tidegate/testing"
import * as policy from "./canary.ts"

test("5 of 100 connections go to the canary", async () => {
  const { decision } = await connect(policy, { from: "203.0.113.9" })
  assert.deepEqual(decision, {
    action: "route",
    targets: [
      { url: "tcp://app-v1.internal:8080", weight: 95 },
      { url: "tcp://app-v2.internal:8080", weight: 5 },
    ],
    connectTimeout: 1000,
  })
})

test("developers get the canary first, and the stable version when it is down", async () => {
  const { decision } = await connect(policy, { from: "10.20.3.4" })
  assert.deepEqual(decision, {
    action: "route",
    targets: [{ url: "tcp://app-v2.internal:8080" }, { url: "tcp://app-v1.internal:8080" }],
  })
})

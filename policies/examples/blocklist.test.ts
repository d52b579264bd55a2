import assert from "node:assert/strict"
import { test } from "node:test"
import { deny, next } from "tidegate"
import { connect } from "tidegate/testing"
import * as policy from "./blocklist.ts"

for (const from of ["192.0.2.200", "198.51.100.7", "2001:db8:bad::1"]) {
  test(`${from} is on the list`, async () => {
    const { decision } = await connect(policy, { from, to: "tcp://:5432" })
    assert.deepEqual(decision, deny("on the blocklist", { reset: true }))
  })
}

for (const from of ["198.51.100.8", "2001:db8:bae::1"]) {
  test(`${from} is not, and the next policy is asked`, async () => {
    assert.deepEqual((await connect(policy, { from, to: "tcp://:5432" })).decision, next)
  })
}

import assert from "node:assert/strict"
import { test } from "node:test"
import { deny, route } from "tidegate"
import { connect } from "tidegate/testing"
import * as policy from "./allow-list.ts"

for (const from of ["10.1.2.3", "203.0.113.7", "::ffff:192.168.1.1", "[2001:db8:5::1]:4711"]) {
  test(`${from} is let in`, async () => {
    const { decision } = await connect(policy, { from })
    assert.deepEqual(decision, route("tcp://db.internal:5432"))
  })
}

for (const from of ["203.0.113.8", "2001:db8:6::1"]) {
  test(`${from} is denied`, async () => {
    const { decision } = await connect(policy, { from })
    assert.deepEqual(decision, deny("not on the list"))
  })
}

import assert from "node:assert/strict"
import { test } from "node:test"
import { route } from "tidegate"
import { connect } from "tidegate/testing"
import * as policy from "./bandwidth.ts"

test("clients from outside share 10 MB a second each", async () => {
  const { decision } = await connect(policy, { from: "203.0.113.9" })
  assert.deepEqual(decision, route("tcp://backups.internal:873", { bandwidth: { down: "10 MB/s", key: "client" } }))
})

test("inside there is no limit", async () => {
  const { decision } = await connect(policy, { from: "10.1.2.3" })
  assert.deepEqual(decision, route("tcp://backups.internal:873"))
})

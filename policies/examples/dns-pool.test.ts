import assert from "node:assert/strict"
import { test } from "node:test"
import { route } from "tidegate"
import { connect } from "tidegate/testing"
import * as policy from "./dns-pool.ts"

for (const [port, pool] of [
  [9116, "cache"],
  [9117, "search"],
] as const) {
  test(`port ${port} leads to ${pool}`, async () => {
    const { decision } = await connect(policy, { from: "10.1.2.3", to: `tcp://127.0.0.1:${port}` })
    assert.deepEqual(decision, route(pool))
  })
}

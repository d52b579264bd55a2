import assert from "node:assert/strict"
import { test } from "node:test"
import { deny, route } from "tidegate"
import { connect } from "tidegate/testing"
import * as policy from "./tarpit.ts"

test("an MQTT client reaches the broker", async () => {
  const { decision, log } = await connect(policy, {
    from: "203.0.113.9",
    bytes: "\x10\x10\x00\x04MQTT\x04\x02\x00\x3c",
  })
  assert.deepEqual(decision, route("tcp://broker.internal:1883"))
  assert.deepEqual(log, {})
})

for (const bytes of ["GET / HTTP/1.1\r\n\r\n", ""]) {
  test(`a client that sends ${JSON.stringify(bytes)} is held, and logged`, async () => {
    const { decision, log } = await connect(policy, { from: "203.0.113.9", bytes })
    assert.deepEqual(decision, deny("does not speak MQTT", { delay: "20 seconds" }))
    assert.deepEqual(log, { scanner: "203.0.113.9" })
  })
}
